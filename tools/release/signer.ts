/** Signs files with a key in the caller's GnuPG directory. */

import { BuildError } from "../build/build_error.ts";
import { mustRun, requirePrograms } from "./command.ts";

/** The number of RSA in OpenPGP: https://www.rfc-editor.org/rfc/rfc9580#section-9.1. */
const RSA = "1";

/** Signs with one key. */
export class Signer {
  /** The whole fingerprint: 40 hexadecimal digits, in capitals. */
  readonly fingerprint: string;

  private constructor(fingerprint: string) {
    this.fingerprint = fingerprint;
  }

  /**
   * The signer for a key of the secret keyring in `GNUPGHOME`, named as gpg names keys.
   *
   * @throws {BuildError} if there is no such key, there are several, or rpm 4.14 cannot verify it
   */
  static async open(key: string): Promise<Signer> {
    await requirePrograms("sign", ["gpg"]);
    const listed = await mustRun(["gpg", "--batch", "--with-colons", "--list-secret-keys", key]);
    const rows = listed.split("\n").map((line) => line.split(":"));
    const keys = rows.filter(([kind]) => kind === "sec");
    if (keys.length !== 1) {
      throw new BuildError(`Cannot sign: "${key}" names ${keys.length} secret keys, not one`);
    }
    if (keys[0]?.[3] !== RSA) {
      throw new BuildError(
        `Cannot sign: the key "${key}" is not RSA, and rpm 4.14 (RHEL 8) verifies RSA only`,
      );
    }
    return new Signer(rows.find(([kind]) => kind === "fpr")?.[9] ?? "");
  }

  /** Writes a detached signature in ASCII armour to `file`.asc, or to `into`. */
  async sign(file: string, into = `${file}.asc`): Promise<void> {
    await this.#gpg("--armor", "--detach-sign", "--output", into, file);
  }

  /** Writes the file with its signature around it to `into`. */
  async signInline(file: string, into: string): Promise<void> {
    await this.#gpg("--clearsign", "--output", into, file);
  }

  /** Puts a signature into an rpm. */
  async signRpm(file: string): Promise<void> {
    await mustRun([
      "rpmsign",
      "--define",
      "__gpg /usr/bin/gpg",
      "--define",
      `_gpg_name ${this.fingerprint}`,
      "--define",
      "_gpg_digest_algo sha256",
      "--addsign",
      file,
    ]);
  }

  /** The public key, in ASCII armour. */
  async publicKey(): Promise<string> {
    return await mustRun(["gpg", "--batch", "--armor", "--export-options", "export-minimal"]
      .concat("--export", this.fingerprint) as [string]);
  }

  async #gpg(...args: string[]): Promise<void> {
    await mustRun(
      ["gpg", "--batch", "--yes", "--digest-algo", "SHA512", "--local-user", this.fingerprint]
        .concat(args) as [string],
    );
  }
}
