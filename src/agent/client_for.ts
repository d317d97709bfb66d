/** The client for a server, as the configuration has it: certificates, proxy, limits. */

import type { Config } from "../config.ts";
import { Client } from "../server/client.ts";
import type { TlsOptions } from "../system/http.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { proxyFor } from "./proxy_for.ts";

/** Makes a client; throws `FileError` if a certificate cannot be read, or `Error` if it cannot be shown. */
export async function clientFor(
  system: System,
  config: Config,
  serverUrl: string,
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
    tls: await readTls(system, config),
    proxyUrl,
    ...config.http,
  });
}

async function readTls(system: System, config: Config): Promise<TlsOptions> {
  const { caFile, certificateFile, keyFile } = config.tls;
  const read = async (purpose: string, path: string) => {
    const text = await system.files.readText(purpose, path);
    if (text === undefined) throw new Error(`Cannot ${purpose}: no file "${path}"`);
    return text;
  };
  return {
    ...(caFile && { ca: await read("read tls.ca_file", caFile) }),
    ...(certificateFile &&
      { certificate: await read("read tls.certificate_file", certificateFile) }),
    ...(keyFile && { key: await read("read tls.key_file", keyFile) }),
  };
}
