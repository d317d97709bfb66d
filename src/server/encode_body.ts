/** The JSON text of what is sent: nothing in it is refused by the server's database. */

import { cut } from "./limits.ts";

/**
 * Encodes a body for the server. Every text in it loses what PostgreSQL refuses, in a column as in
 * JSON: U+0000, other control characters and half a surrogate pair. Such a text costs the server the
 * whole transaction, on every retry: https://www.postgresql.org/docs/current/datatype-json.html.
 */
export function encodeBody(body: object): string {
  return JSON.stringify(
    body,
    (_, value: unknown) => typeof value === "string" ? cut(value, Infinity) : value,
  );
}
