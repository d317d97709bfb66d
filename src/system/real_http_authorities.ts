/** The certificate authorities that this Linux system trusts, as one PEM text. */

/** Where distributions keep them, Debian's first, then those of the RHEL family, SUSE and Alpine. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

let known: Promise<string | null> | undefined;

/**
 * The system's authorities, read once; `null` if there are none to be found. The runtime of the
 * executable trusts only its own list, which a company's own authority is not on.
 */
export function systemAuthorities(): Promise<string | null> {
  known ??= readFirst([...named(), ...BUNDLES]);
  return known;
}

/** OpenSSL's variable, which administrators know. */
function named(): string[] {
  try {
    const path = Deno.env.get("SSL_CERT_FILE");
    return path ? [path] : [];
  } catch {
    return []; // Not ours to read.
  }
}

async function readFirst(paths: readonly string[]): Promise<string | null> {
  if (Deno.build.os !== "linux") return null;
  for (const path of paths) {
    try {
      return await Deno.readTextFile(path);
    } catch {
      // Not this one.
    }
  }
  return null;
}
