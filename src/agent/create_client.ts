/** Creates the client for a server from the configuration: certificates, proxy, limits. */

import { ConfigError } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { isLoopback } from "../config/cross_check.ts";
import { type FileUse, readTrusted } from "../trusted_path.ts";
import { Secrets } from "../redact.ts";
import { Client } from "../server/client.ts";
import { cut, LIMITS } from "../server/limits.ts";
import type { TlsOptions } from "../system/http.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";

interface CreateClientOptions {
  /** Called with each problem in the safety of the certificate files. @default none */
  readonly warn?: (why: string) => void;
  /** Sent with every call. */
  readonly machineId: string;
  /** Hidden in what the client returns; it adds the tokens that it sends and receives. */
  readonly secrets?: Secrets;
}

/**
 * Creates a client. Throws `FileError` if a certificate cannot be read, `ConfigError` if other users can
 * change it or read its key, and `Error` for a client certificate behind a proxy.
 */
export async function createClient(
  system: System,
  config: Config,
  serverUrl: string,
  { machineId, warn = () => {}, secrets = new Secrets() }: CreateClientOptions,
): Promise<Client> {
  const proxyUrl = proxyFor(serverUrl, config.proxy);
  const fault = proxyFault(serverUrl, config);
  if (fault !== null) throw new Error(fault);
  return new Client(system.sendHttp, system.clock, {
    serverUrl,
    agentVersion: cut(VERSION, LIMITS.agentVersion),
    machineId,
    tls: await readTls(system, config, warn),
    proxyUrl,
    secrets,
    ...config.http,
  });
}

/** Why the settings of the proxy and of the certificate do not go together; `null`: they do. */
export function proxyFault(serverUrl: string, { tls, proxy }: Config): string | null {
  if (tls.certificateFile === null || proxyFor(serverUrl, proxy) === null) return null;
  return "Cannot show tls.certificate_file to a server behind a proxy. Next: reach it without, by " +
    `adding "${new URL(serverUrl).hostname}" to proxy.except_for`;
}

/** The files of `[tls]` that are configured, with what they are used for. */
export function tlsFiles(
  { caFile, certificateFile, keyFile }: Config["tls"],
): { readonly name: string; readonly path: string; readonly use: FileUse }[] {
  return [
    { name: "tls.ca_file", path: caFile, use: "configuration" as const },
    { name: "tls.certificate_file", path: certificateFile, use: "configuration" as const },
    { name: "tls.key_file", path: keyFile, use: "key" as const },
  ].flatMap(({ path, ...rest }) => path ? [{ path, ...rest }] : []);
}

async function readTls(
  system: System,
  config: Config,
  warn: (why: string) => void,
): Promise<TlsOptions> {
  const texts = new Map<string, string>();
  for (const file of tlsFiles(config.tls)) {
    texts.set(file.name, await readConfiguredFile(system, file, warn));
  }
  const ca = texts.get("tls.ca_file");
  const certificate = texts.get("tls.certificate_file");
  const key = texts.get("tls.key_file");
  return { ...(ca && { ca }), ...(certificate && { certificate }), ...(key && { key }) };
}

/**
 * The text of a file that the setting `name` names. Throws `FileError`, `ConfigError` if other users can
 * change it or read a key, and `Error` if there is none.
 */
export async function readConfiguredFile(
  system: System,
  { name, path, use }: { name: string; path: string; use: FileUse },
  warn: (why: string) => void,
): Promise<string> {
  const file = await readTrusted(system, { name, path, use });
  if (file === undefined) throw new Error(`Cannot read ${name}: no file "${path}"`);
  if (file.errors.length > 0) throw new ConfigError(file.errors);
  file.warnings.forEach(warn);
  return file.text;
}

/**
 * The URL of the proxy for a server; `null`: none. Entries of `exceptFor` are hosts that are reached
 * without one: `example.org` with all subdomains, `.example.org`, `host:port`, `*`, and networks such as
 * `10.0.0.0/8`, as Go's clients (RedFlag's own agent) and curl read them too.
 */
export function proxyFor(serverUrl: string, settings: Config["proxy"]): string | null {
  const url = new URL(serverUrl);
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  // A proxy could not reach this host itself.
  if (proxy === null || isLoopback(url)) return null;
  return settings.exceptFor.some((entry) => covers(entry, url)) ? null : proxy;
}

function covers(entry: string, url: URL): boolean {
  const wanted = entry.trim().toLowerCase();
  if (wanted === "") return false;
  if (wanted === "*") return true;
  if (wanted.includes("/")) return isInNetwork(wanted, bare(url.hostname));
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const withPort = /^(.+):(\d+)$/.exec(wanted);
  // An IPv6 address contains colons, and has a port only if it is in brackets.
  const hasPort = withPort !== null && (!withPort[1]?.includes(":") || wanted.startsWith("["));
  if (hasPort && withPort[2] !== port) return false;
  const name = bare(hasPort ? withPort[1] ?? "" : wanted).replace(/^\*?\./, "");
  const host = bare(url.hostname);
  return host === name || host.endsWith(`.${name}`);
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

/** Whether a host, written as an address, is in a network, as `10.0.0.0/8` or `2001:db8::/32`. */
function isInNetwork(network: string, host: string): boolean {
  const [, first = "", length = ""] = /^(.+)\/(\d{1,3})$/.exec(network) ?? [];
  const [base, address] = [addressBits(bare(first)), addressBits(host)];
  if (base === null || address === null || base.length !== address.length) return false;
  return Number(length) <= base.length &&
    address.startsWith(base.slice(0, Number(length)));
}

/** The bits of an address as digits; `null`: it is a name. */
function addressBits(host: string): string | null {
  if (/^\d+(?:\.\d+){3}$/.test(host)) return digitsOf(host.split("."), { base: 10, bits: 8 });
  if (!host.includes(":") || !URL.canParse(`http://[${host}]`)) return null;
  // As `URL` writes it, nothing but hexadecimal groups and one "::" is left.
  const [front = "", back] = bare(new URL(`http://[${host}]`).hostname).split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const missing = back === undefined ? 0 : 8 - groups(front).length - groups(back).length;
  const all = [...groups(front), ...Array(missing).fill("0"), ...groups(back ?? "")];
  return digitsOf(all, { base: 16, bits: 16 });
}

function digitsOf(parts: readonly string[], { base, bits }: { base: number; bits: number }) {
  return parts.map((part) => parseInt(part, base).toString(2).padStart(bits, "0")).join("");
}
