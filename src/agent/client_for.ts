/** The client for a server, as the configuration has it: certificates, proxy, limits. */

import type { Config } from "../config.ts";
import { Client } from "../server/client.ts";
import type { TlsOptions } from "../system/http.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { proxyFor } from "./proxy_for.ts";

/** Makes a client; throws `FileError` if a certificate cannot be read. */
export async function clientFor(
  system: System,
  config: Config,
  serverUrl: string,
): Promise<Client> {
  return new Client(system.sendHttp, system.clock, {
    serverUrl,
    agentVersion: VERSION,
    tls: await readTls(system, config),
    proxyUrl: proxyFor(serverUrl, config.proxy),
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
