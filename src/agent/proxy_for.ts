/** Which proxy a server is reached through, if any. Pure. */

/** As configured, or as the environment's `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` have it. */
export interface ProxySettings {
  readonly http: string | null;
  readonly https: string | null;
  /** Hosts reached without: `example.org` with all below it, `.example.org`, `host:port`, `*`. */
  readonly exceptFor: readonly string[];
}

/** This host itself: a proxy could not reach it, and most programs would not ask one to. */
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** The proxy's URL for a server's URL; `null`: none. */
export function proxyFor(serverUrl: string, settings: ProxySettings): string | null {
  const url = new URL(serverUrl);
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  if (proxy === null || LOOPBACK.test(url.hostname)) return null;
  return settings.exceptFor.some((entry) => covers(entry, url)) ? null : proxy;
}

function covers(entry: string, url: URL): boolean {
  const wanted = entry.trim().toLowerCase();
  if (wanted === "") return false;
  if (wanted === "*") return true;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const withPort = /^(.+):(\d+)$/.exec(wanted);
  // An IPv6 address has colons of its own, and then no port unless it stands in brackets.
  const hasPort = withPort !== null && (!withPort[1]?.includes(":") || wanted.startsWith("["));
  if (hasPort && withPort[2] !== port) return false;
  const name = bare(hasPort ? withPort[1] ?? "" : wanted).replace(/^\*?\./, "");
  const host = bare(url.hostname);
  return host === name || host.endsWith(`.${name}`);
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}
