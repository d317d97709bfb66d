/** A network namespace with one link to this host, which a test can cut on either side. */

/** The range for tests between networks (RFC 2544): nobody's own. */
const NETWORK = "198.18";

let made = 0;

export class NetworkNamespace implements AsyncDisposable {
  readonly name: string;
  /** The address of this host on the link. */
  readonly hostAddress: string;
  readonly #links: { readonly host: string; readonly inside: string };

  private constructor() {
    // Unlike those of another run on this machine, and within the 15 characters of a link's name.
    const number = (Deno.pid * 7 + made++) % 16_384;
    this.name = `pennon-e2e-${number}`;
    this.hostAddress = `${NETWORK}.${number >> 6}.${(number & 63) * 4 + 1}`;
    this.#links = { host: `pn${number}h`, inside: `pn${number}i` };
  }

  /** Makes one; `null` where that is not possible. */
  static async make(): Promise<NetworkNamespace | null> {
    const space = new NetworkNamespace();
    try {
      await space.#setUp();
      return space;
    } catch {
      await space[Symbol.asyncDispose]();
      return null;
    }
  }

  /** What to put before a command that is to run inside. */
  get wrap(): [string, ...string[]] {
    return ["ip", "netns", "exec", this.name];
  }

  /** Cuts the link, or mends it, at this host's end or at the end inside. */
  async setLink(end: "host" | "inside", state: "up" | "down"): Promise<void> {
    const inside = end === "inside" ? ["-n", this.name] : [];
    await ip(...inside, "link", "set", this.#links[end], state);
  }

  /** Plays a firewall that drops what goes to this host: it leaves for a station that nobody is. */
  async setDropping(isDropping: boolean): Promise<void> {
    const link = ["dev", this.#links.inside];
    const inside = ["-n", this.name, "neighbour"];
    if (isDropping) {
      const nobody = ["lladdr", "02:00:00:00:00:01", "nud", "permanent"];
      await ip(...inside, "replace", this.hostAddress, ...nobody, ...link);
    } else await ip(...inside, "delete", this.hostAddress, ...link);
  }

  /** Plays a router that says "host unreachable" of this host. */
  async setUnreachable(isUnreachable: boolean): Promise<void> {
    const change = isUnreachable ? "add" : "delete";
    await ip("-n", this.name, "route", change, "unreachable", `${this.hostAddress}/32`);
  }

  /** Takes it all away; its links go with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await ip("netns", "delete", this.name);
    } catch {
      // It was never made.
    }
  }

  async #setUp(): Promise<void> {
    const { host, inside } = this.#links;
    await ip("netns", "add", this.name);
    await ip("link", "add", host, "type", "veth", "peer", "name", inside, "netns", this.name);
    await ip("address", "add", `${this.hostAddress}/30`, "dev", host);
    await ip("-n", this.name, "address", "add", `${this.#insideAddress}/30`, "dev", inside);
    await ip("-n", this.name, "link", "set", "lo", "up");
    await this.setLink("host", "up");
    await this.setLink("inside", "up");
  }

  get #insideAddress(): string {
    return this.hostAddress.replace(/\d+$/, (last) => String(Number(last) + 1));
  }
}

async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await runIp(args);
  if (success) return;
  throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}

async function runIp(args: string[]): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command("ip", { args, stdin: "null" }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Error("no ip here");
    throw error;
  }
}
