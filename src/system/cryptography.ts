/** The port to the cryptography of the runtime: one hash function, and one kind of signature. */

/** An Ed25519 signature and what it is about. */
export interface SignatureQuestion {
  /** 32 bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** 64 bytes. */
  readonly signature: Uint8Array<ArrayBuffer>;
  /** The bytes that were signed. */
  readonly message: Uint8Array<ArrayBuffer>;
}

/** No method rejects. */
export interface Cryptography {
  /** The 32 bytes of SHA-256 (FIPS 180-4). */
  sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /**
   * Whether the signature is one of the key for the message (RFC 8032, Ed25519 without a context).
   * `false` also for a key or a signature of another length, or a key that is no point of the curve.
   */
  verifyEd25519(question: SignatureQuestion): Promise<boolean>;
}
