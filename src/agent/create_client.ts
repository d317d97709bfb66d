/** The client for a server, as the configuration has it: certificates, proxy, limits. */

import { type Config, ConfigError } from "../config.ts";
import { readTrusted } from "../config/trusted.ts";
import { Secrets } from "../secrets.ts";
import { Client } from "../server/client.ts";
import type { TlsOptions } from "../system/http.ts";
import type { System } from "../system/system.ts";
import type { FileUse } from "../trusted_path.ts";
import { VERSION } from "../version.ts";

/** What a client is made with besides. */
export interface ClientForOptions {
  readonly warn?: (why: string) => void;
  /** Kept out of what the client answers; it adds the tokens that it sends and receives. */
  readonly secrets?: Secrets;
}

/**
 * Makes a client; `warn` is called with what is not as safe as it should be in the files it is made with.
 * Throws `FileError` if a certificate cannot be read, `ConfigError` if others can change it or read its
 * key, and `Error` if it cannot be shown.
 */
export async function clientFor(
  system: System,
  config: Config,
  serverUrl: string,
  { warn = () => {}, secrets = new Secrets() }: ClientForOptions = {},
): Promise<Client> {
  const proxyUrl = proxyFor(serverUrl, config.proxy);
  if (proxyUrl !== null && config.tls.certificateFile !== null) {
    throw new Error(
      "Cannot show tls.certificate_file to a server behind a proxy. Next: reach it without, by " +
        `adding "${new URL(serverUrl).hostname}" to proxy.except_for`,
    );
  }
  return new Client(system.sendHttp, system.clock, {
    serverUrl,
    agentVersion: VERSION,
    tls: await readTls(system, config, warn),
    proxyUrl,
    secrets,
    ...config.http,
  });
}

async function readTls(
  system: System,
  config: Config,
  warn: (why: string) => void,
): Promise<TlsOptions> {
  const { caFile, certificateFile, keyFile } = config.tls;
  const read = async (name: string, path: string, use: FileUse) => {
    const file = await readTrusted(system, { name, path, use });
    if (file === undefined) throw new Error(`Cannot read ${name}: no file "${path}"`);
    if (file.errors.length > 0) throw new ConfigError(file.errors);
    file.warnings.forEach(warn);
    return file.text;
  };
  return {
    ...(caFile && { ca: await read("tls.ca_file", caFile, "configuration") }),
    ...(certificateFile &&
      { certificate: await read("tls.certificate_file", certificateFile, "configuration") }),
    ...(keyFile && { key: await read("tls.key_file", keyFile, "key") }),
  };
}

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
