/** Certificates for a test, made by openssl: an authority, and what it signs. */

/** A certificate and its key, as PEM texts. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of its own, in a folder that is gone after `dispose`. */
export class Authority implements AsyncDisposable {
  readonly folder: string;
  #signed = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Authority> {
    const authority = new Authority(await Deno.makeTempDir({ prefix: "pennon-tls-" }));
    await authority.#openssl(
      ...["req", "-x509", "-newkey", ...P256, "-nodes", "-keyout", "ca.key", "-out", "ca.pem"],
      ...["-days", "2", "-subj", "/CN=Test authority"],
    );
    return authority;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Path of the authority's own certificate. */
  get file(): string {
    return `${this.folder}/ca.pem`;
  }

  pem(): Promise<string> {
    return Deno.readTextFile(this.file);
  }

  /** Signs a certificate for a name (`IP:127.0.0.1`, `DNS:server.test`) with a new key of a kind; negative days: it has ended. */
  async sign(
    altName: string,
    newKey: readonly string[] = P256,
    { days = 2 }: { days?: number } = {},
  ): Promise<Certificate> {
    const name = `signed-${this.#signed++}`;
    await Deno.writeTextFile(`${this.folder}/${name}.ext`, `subjectAltName=${altName}\n`);
    await this.#openssl(
      ...["req", "-newkey", ...newKey, "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`],
      ...["-subj", `/CN=${name}`],
    );
    await this.#openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key"],
      ...[
        "-CAcreateserial",
        "-days",
        String(days),
        "-extfile",
        `${name}.ext`,
        "-out",
        `${name}.pem`,
      ],
    );
    return {
      certificate: await Deno.readTextFile(`${this.folder}/${name}.pem`),
      key: await Deno.readTextFile(`${this.folder}/${name}.key`),
    };
  }

  async #openssl(...args: string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: this.folder,
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  }
}

const P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
