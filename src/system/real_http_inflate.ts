/** An answer's body as text: decompressed where it says so, and never past the limit. */

import { HttpError } from "./http.ts";
import type { RawResponse } from "./real_http_connection.ts";

/** Throws `HttpError` `too_large`, or `malformed` where the compression does not hold. */
export async function inflate(response: RawResponse, maxBytes: number): Promise<string> {
  const encoding = response.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || response.body.length === 0) {
    return new TextDecoder().decode(response.body);
  }
  if (encoding !== "gzip" && encoding !== "deflate") {
    throw new HttpError(`its answer is encoded as "${encoding}"`, { reason: "malformed" });
  }
  const stream = new Blob([response.body.slice()]).stream()
    .pipeThrough(new DecompressionStream(encoding));
  return new TextDecoder().decode(await readAtMost(stream, maxBytes));
}

async function readAtMost(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {}); // It has failed already.
    if (error instanceof HttpError) throw error;
    throw new HttpError("its answer cannot be decompressed", { reason: "malformed", cause: error });
  }
  return concatenate(chunks, length);
}

/** The answer is more than anybody asked for. */
export function tooLarge(maxBytes: number): HttpError {
  return new HttpError(`its answer is longer than ${maxBytes} bytes`, { reason: "too_large" });
}

/** One array of many. */
export function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
