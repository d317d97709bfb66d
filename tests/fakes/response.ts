/** An answer's body as a test writes and reads it: as text. */

import type { HttpResponse } from "../../src/system/http.ts";

/** An answer that arrived whole. */
export function response(
  status: number,
  body: string,
  headers: HttpResponse["headers"] = {},
): HttpResponse {
  return { status, headers, body: new TextEncoder().encode(body) };
}

/** The body of an answer, as text. */
export function textOf({ body }: Pick<HttpResponse, "body">): string {
  return new TextDecoder().decode(body);
}
