/**
 * The port that looks at the way to a server, step by step, for `pennon doctor`: its name, a connection,
 * its certificate. It sends nothing of the agent. Each call throws `HttpError`.
 */

/** One certificate that a server presents (RFC 5280). */
export interface PeerCertificate {
  /** The common name of its subject, or the whole subject where it has none. */
  readonly subject: string;
  /** The same of the authority that signed it. */
  readonly issuer: string;
  /** Names and addresses for which it is valid, as in its `subjectAltName`; empty if there is none. */
  readonly names: readonly string[];
  /** It is valid from then on, in ms since the Unix epoch. */
  readonly validFromMs: number;
  /** The last instant at which it is valid. */
  readonly validToMs: number;
}

/** Where to connect to, and how long to wait. */
export interface Peer {
  /** A name or an address, the latter without brackets. */
  readonly host: string;
  /** The TCP port. */
  readonly port: number;
  /** Limit on the whole call. */
  readonly timeoutMs: number;
}

/** Looks; changes nothing. */
export interface Network {
  /** The addresses of a name, as every other program of this host finds them. */
  resolve(host: string, timeoutMs: number): Promise<readonly string[]>;
  /** Opens a TCP connection and closes it; returns the address that accepted it. */
  connect(peer: Peer): Promise<string>;
  /**
   * The certificates that a TLS server presents, its own first. They are not verified: a request by
   * `SendHttp` does that. Deno 2.6.8 shows the first one only. `proxyUrl`: of a proxy to go through.
   */
  readCertificates(
    peer: Peer & { readonly proxyUrl?: string },
  ): Promise<readonly PeerCertificate[]>;
}
