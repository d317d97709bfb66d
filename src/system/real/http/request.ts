/** A request as bytes: HTTP/1.1, its length stated, whatever the method (RFC 9112). */

import { HttpError, type HttpRequest } from "../../http.ts";

/** Encodes a request; throws `HttpError` where a header could be read as more than one. */
export function encodeRequest(request: HttpRequest, url: URL): Uint8Array {
  const body = new TextEncoder().encode(request.body ?? "");
  const isProxied = request.proxyUrl !== undefined && url.protocol === "http:";
  const target = isProxied
    ? `${url.origin}${url.pathname}${url.search}`
    : url.pathname + url.search;
  const headers: Record<string, string> = {
    host: url.host,
    "accept-encoding": "gzip",
    connection: "keep-alive",
    ...(request.body !== undefined || request.method === "POST"
      ? { "content-length": String(body.length) }
      : {}),
    ...(isProxied ? proxyAuthorization(request.proxyUrl ?? "") : {}),
    ...request.headers,
  };
  const head = encodeHead(`${request.method} ${target} HTTP/1.1`, headers);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** The first line and the headers, with the empty line that ends them. */
export function encodeHead(start: string, headers: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(headers).map(([name, value]) => {
    if (!/^[\w-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new HttpError(`header "${name}" holds what a header must not`, { reason: "malformed" });
    }
    return `${name}: ${value}\r\n`;
  });
  return new TextEncoder().encode(`${start}\r\n${lines.join("")}\r\n`);
}

/** A proxy's user and password, which stand in its URL. */
export function proxyAuthorization(proxyUrl: string): Record<string, string> {
  const { username, password } = new URL(proxyUrl);
  if (username === "") return {};
  const words = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${btoa(words)}` };
}
