/** The port to the cryptography of the runtime: a hash function, a kind of signature, certificates. */

/** An Ed25519 signature and what it is about. */
export interface SignatureQuestion {
  /** 32 bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** 64 bytes. */
  readonly signature: Uint8Array<ArrayBuffer>;
  /** The bytes that were signed. */
  readonly message: Uint8Array<ArrayBuffer>;
}

/** What a message says of a certificate. */
export interface CertificateFacts {
  /** Its subject's name: `CN=host.example`. */
  readonly subject: string;
  /** The end of its validity, in ms since the Unix epoch. */
  readonly validToMs: number;
}

/** How a private key relates to a certificate. `unknown`: the runtime cannot read keys of this kind. */
export type KeyMatch = "fits" | "other" | "unreadable" | "encrypted" | "unknown";

/** No method rejects. */
export interface Cryptography {
  /** The 32 bytes of SHA-256 (FIPS 180-4). */
  sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /**
   * Whether the signature is one of the key for the message (RFC 8032, Ed25519 without a context).
   * `false` also for a key or a signature of another length, or a key that is no point of the curve.
   */
  verifyEd25519(question: SignatureQuestion): Promise<boolean>;
  /** Every certificate of a PEM text (RFC 7468); `null` for one that cannot be parsed. */
  readCertificates(pem: string): Promise<(CertificateFacts | null)[]>;
  /** Whether a private key (PEM) is the one of the first certificate. */
  matchKey(certificatePem: string, keyPem: string): Promise<KeyMatch>;
}
