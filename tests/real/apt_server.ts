/** Serves a folder to apt as a mirror does, and refuses what a test wants refused. */

/** A mirror on this host alone; it ends when it is disposed. */
export class AptServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Paths that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #served = new Map<string, number>();
  /** The status that a path gets instead of its file. */
  refuse: (path: string) => number | null = () => null;

  constructor(folder: string) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const path = decodeURIComponent(new URL(request.url).pathname);
        this.asked.push(path);
        const status = this.refuse(path);
        if (status !== null) return new Response("no", { status });
        const file = folder + path;
        const facts = await Deno.stat(file).catch(() => null);
        if (!facts?.isFile) return new Response("no such file", { status: 404 });
        const modified = facts.mtime?.toUTCString() ?? "";
        // Times of HTTP know no parts of a second, in which a test publishes twice.
        const isSame = this.#served.get(path) === facts.mtime?.getTime();
        this.#served.set(path, facts.mtime?.getTime() ?? 0);
        if (isSame && request.headers.get("if-modified-since") === modified) {
          return new Response(null, { status: 304 });
        }
        return new Response(await Deno.readFile(file), { headers: { "last-modified": modified } });
      },
    );
  }

  /** `http://127.0.0.1:PORT`. */
  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
