import { assertEquals, assertMatch } from "@std/assert";
import { adviceOn } from "../../src/agent/enrol_advice.ts";
import { readFailure } from "../../src/server/answer.ts";
import { HttpError, type HttpErrorReason } from "../../src/system/http.ts";

Deno.test("adviceOn() says for each way not to reach a server what to look at", () => {
  const rows: [HttpErrorReason, RegExp][] = [
    ["offline", /this host has a network/],
    ["dns", /address is spelt right/],
    ["refused", /server runs, and .* port/],
    ["tls", /tls\.ca_file/],
    ["timeout", /firewall/],
    ["cut_off", /http:\/\/ or https:\/\//],
    ["malformed", /a RedFlag server's/],
    ["too_large", /a RedFlag server's/],
    ["proxy", /proxy\.except_for/],
  ];
  for (const [reason, says] of rows) {
    assertMatch(adviceOn(readFailure(new HttpError("Cannot", { reason }))) ?? "", says, reason);
  }
  assertEquals(adviceOn(readFailure(new HttpError("Cannot", { reason: "aborted" }))), undefined);
});

Deno.test("adviceOn() says for each answer of a server's what to look at", () => {
  const failed = { kind: "failed", why: "HTTP", offline: false, retryAfterMs: null } as const;
  assertMatch(adviceOn({ ...failed, status: 500 }) ?? "", /server's own log/);
  assertMatch(adviceOn({ ...failed, status: 301 }) ?? "", /a RedFlag server's, and names no other/);
  assertMatch(adviceOn({ ...failed, status: 200 }) ?? "", /a RedFlag server's, and names no other/);
  assertMatch(
    adviceOn({ kind: "unauthorized", why: "HTTP 401" }) ?? "",
    /dashboard .*server's database is up/,
  );
  assertMatch(
    adviceOn({ kind: "limited", why: "HTTP 429", retryAfterMs: null }) ?? "",
    /in a minute/,
  );
  assertMatch(
    adviceOn({ kind: "refused", why: "HTTP 404", status: 404 }) ?? "",
    /RedFlag server's/,
  );
  assertEquals(adviceOn({ kind: "refused", why: "HTTP 400: bad", status: 400 }), undefined);
  assertEquals(adviceOn({ kind: "operator_required", why: "HTTP 403: not allowed" }), undefined);
});
