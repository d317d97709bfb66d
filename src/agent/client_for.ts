/** The client for a server, as the configuration has it: certificates, proxy, limits. */

import { type Config, ConfigError } from "../config.ts";
import { readTrusted } from "../config/trusted.ts";
import { Secrets } from "../secrets.ts";
import { Client } from "../server/client.ts";
import type { TlsOptions } from "../system/http.ts";
import type { System } from "../system/system.ts";
import type { FileUse } from "../trusted_path.ts";
import { VERSION } from "../version.ts";
import { proxyFor } from "./proxy_for.ts";

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
