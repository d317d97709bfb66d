/** Repositories that `tools/release` makes of the tests' packages, and a web server for them. */

import type { BuiltVersion } from "../../tools/packages/versions.ts";
import { makeRepositories } from "../../tools/release/repositories.ts";
import { Signer } from "../../tools/release/signer.ts";

/** A web server of one directory at a time. */
export class Site implements AsyncDisposable {
  /** Every path that was asked for. */
  readonly requests: string[] = [];
  /** The directory that is served. */
  directory = "";
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const path = decodeURIComponent(new URL(request.url).pathname);
    this.requests.push(path);
    try {
      const file = await Deno.open(`${this.directory}${path}`);
      const { size, isFile } = await file.stat();
      if (!isFile) {
        file.close();
        return new Response(null, { status: 404 });
      }
      return new Response(file.readable, { headers: { "Content-Length": String(size) } });
    } catch {
      return new Response(null, { status: 404 });
    }
  }
}

/** A directory with a key of the test's own in it; sets `GNUPGHOME` for this process. */
export async function makeSigner(work: string, name: string): Promise<Signer> {
  const home = `${work}/gnupg-${name}`;
  await Deno.remove(home, { recursive: true }).catch(() => {});
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  Deno.env.set("GNUPGHOME", home);
  const id = `${name}@updates.example`;
  const key = ["--quick-generate-key", id, "rsa3072", "sign", "never"];
  await must("gpg", "--batch", "--quiet", "--passphrase", "", ...key);
  return await Signer.open(id);
}

/** Ends the agent that gpg leaves behind for the present key. */
export async function endSigner(): Promise<void> {
  await must("gpgconf", "--kill", "all");
}

/** A site with the repositories of one version, signed with a key of its own that goes at once. */
export async function publishAlone(
  version: BuiltVersion,
  kind: ".deb" | ".rpm",
  { work, name }: { work: string; name: string },
): Promise<Site> {
  const site = new Site();
  site.directory = `${work}/${name}`;
  const signer = await makeSigner(work, name);
  await publish(version, kind, { into: site.directory, signer, url: site.url });
  await endSigner();
  return site;
}

/** Fills the directories that `directory()` names with repositories, which `url` will serve. */
type Fill = (url: string, directory: (name: string) => string) => Promise<void>;

/** Repositories side by side, made when the first is asked for; one is served at a time. */
export class Repositories {
  readonly #prefix: string;
  readonly #fill: Fill;
  #site: Promise<Site> | undefined;

  constructor(prefix: string, fill: Fill) {
    this.#prefix = prefix;
    this.#fill = fill;
  }

  /** Has the site serve one of them, with no request logged yet. */
  async serve(name: string): Promise<Site> {
    const site = await (this.#site ??= this.#make());
    site.directory = this.#directory(name);
    site.requests.length = 0;
    return site;
  }

  async close(): Promise<void> {
    await (await this.#site)?.[Symbol.asyncDispose]();
  }

  async #make(): Promise<Site> {
    const site = new Site();
    await this.#fill(site.url, (name) => this.#directory(name));
    return site;
  }

  #directory(name: string): string {
    return `${this.#prefix}-${name}`;
  }
}

/** Copies a repository; packages are shared, since nothing writes into one that is published. */
export async function copyRepository(from: string, to: string): Promise<void> {
  await must("cp", "--archive", "--link", from, to);
  for (const file of await findFiles(to, /(?<!\.deb|\.rpm)$/)) {
    await replaceBytes(file, (bytes) => new Uint8Array(bytes));
  }
}

/** Adds a version's packages of one kind to the repositories in `into`. */
export async function publish(
  { files }: BuiltVersion,
  kind: ".deb" | ".rpm",
  options: { into: string; signer: Signer; url: string },
): Promise<void> {
  const packages = files.filter((name) => name.endsWith(kind));
  await makeRepositories({ ...options, packages, validDays: 7 });
}

/** Copies a repository with other bytes in the files whose path matches, of which there must be some. */
export async function copyChanged(
  from: string,
  to: string,
  { files, change }: {
    files: RegExp;
    change: (bytes: Uint8Array) => Uint8Array<ArrayBuffer>;
  },
): Promise<void> {
  await copyRepository(from, to);
  const found = await findFiles(to, files);
  if (found.length === 0) throw new Error(`Cannot change ${files}: no such file in ${to}`);
  for (const file of found) await replaceBytes(file, change);
}

/** Another text in a file of text, where the pattern must be found. */
export function replaceText(pattern: RegExp, text: string) {
  return (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
    const before = new TextDecoder().decode(bytes);
    const after = before.replace(pattern, text);
    if (after === before) throw new Error(`Cannot replace ${pattern}: not found`);
    return new TextEncoder().encode(after);
  };
}

/** Writes other bytes into a copy of a file, which may be shared. */
async function replaceBytes(
  path: string,
  change: (bytes: Uint8Array) => Uint8Array<ArrayBuffer>,
): Promise<void> {
  const changed = change(await Deno.readFile(path));
  await Deno.remove(path);
  await Deno.writeFile(path, changed);
}

/** The files below a directory whose path matches. */
async function findFiles(directory: string, pattern: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) found.push(...await findFiles(path, pattern));
    else if (pattern.test(path)) found.push(path);
  }
  return found.sort();
}

async function must(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Another byte in the middle; the size stays. */
export function flipByte(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const changed = new Uint8Array(bytes);
  changed[changed.length >> 1]! ^= 1;
  return changed;
}
