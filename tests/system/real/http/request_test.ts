import { assertEquals, assertRejects } from "@std/assert";
import type { HttpErrorReason } from "../../../../src/system/http.ts";
import {
  Deadline,
  describeFailure,
  proxyAuthorization,
} from "../../../../src/system/real/http/request.ts";

Deno.test("describeFailure() classifies each system's messages, and Windows' numbers in any language", () => {
  const rows: [message: string, reason: HttpErrorReason, fact: string][] = [
    ["", "cut_off", ""],
    ["something else", "cut_off", "something else"],
    ["something else (os error 5)", "cut_off", "something else (os error 5)"],
    ["Address family not supported by protocol (os error 97)", "offline", "no route to it"],
    ["Cannot assign requested address (os error 99)", "offline", "no route to it"],
    ...["Too many open files (os error 24)", "Operation not permitted (os error 1)"].map((
      message,
    ): [string, HttpErrorReason, string] => [
      message,
      "offline",
      `this host opens no connection (${message})`,
    ]),
    ["Connection refused (os error 111)", "refused", "connection refused"],
    [
      "Es konnte keine Verbindung hergestellt werden (os error 10061)",
      "refused",
      "connection refused",
    ],
    ["Connection reset by peer (os error 104)", "cut_off", "connection cut off"],
    ["Verbindung wurde beendet. (os error 10054)", "cut_off", "connection cut off"],
    ["Verbindung wurde abgebrochen. (os error 10053)", "cut_off", "connection cut off"],
    ["Network is unreachable (os error 101)", "offline", "no route to it"],
    ["Netzwerk nicht erreichbar. (os error 10051)", "offline", "no route to it"],
    ["Netzwerk ist ausgefallen. (os error 10050)", "offline", "no route to it"],
    ["Network is down (os error 100)", "offline", "no route to it"],
    // A router says so of a server that is switched off, and then this host is not offline.
    ["No route to host (os error 113)", "unreachable", "no route to its host"],
    ["Host nicht erreichbar. (os error 10065)", "unreachable", "no route to its host"],
    ["Der angegebene Host ist unbekannt. (os error 11001)", "dns", "no such name"],
    ["Keine Daten dieses Typs. (os error 11004)", "dns", "no such name"],
    ["failed to lookup address information: Name or service not known", "dns", "no such name"],
    [
      "Host nicht gefunden, kein Server. (os error 11002)",
      "offline",
      "no name service answers for it",
    ],
    [
      "failed to lookup address information: Temporary failure in name resolution",
      "offline",
      "no name service answers for it",
    ],
    ["Connection timed out (os error 110)", "timeout", "no answer in time"],
    ["Keine Antwort in der Zeit. (os error 10060)", "timeout", "no answer in time"],
    ["unexpected EOF", "cut_off", "connection cut off"],
  ];
  for (const [message, reason, fact] of rows) {
    const error = describeFailure(new Error(message), { host: "server", endedBy: null });
    assertEquals([error.reason, error.message], [reason, `Cannot reach "server": ${fact}`]);
  }
});

Deno.test("guard() calls its latest function when the call is aborted, and at once after that", async () => {
  const { signal, abort } = stopping();
  const deadline = new Deadline({ timeoutMs: 600_000, connectTimeoutMs: 600_000, signal });
  const closed: string[] = [];
  deadline.guard(() => closed.push("first"));
  deadline.guard(() => closed.push("second"));
  const race = assertRejects(() => deadline.race(new Promise(() => {})), Error, "abort");
  assertEquals([closed, deadline.endedBy], [[], null]);
  abort();
  await race;
  assertEquals([closed, deadline.endedBy], [["second"], "abort"]);
  deadline.guard(() => closed.push("late"));
  assertEquals(closed, ["second", "late"]);
  deadline.clear();
});

function stopping(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

Deno.test("proxyAuthorization() sends each password as it is meant, in UTF-8, and fails on none", () => {
  const sent = (userinfo: string) => {
    const header = proxyAuthorization(`http://${userinfo}proxy.test:3128`)["proxy-authorization"];
    return header && new TextDecoder().decode(Uint8Array.fromBase64(header.replace("Basic ", "")));
  };
  assertEquals(sent(""), undefined);
  assertEquals(sent("user:secret@"), "user:secret");
  assertEquals(sent("user@"), "user:");
  assertEquals(sent("us%40er:p%3Ass@"), "us@er:p:ss");
  assertEquals(sent("user:50%off@"), "user:50%off");
  assertEquals(sent("user:100%@"), "user:100%");
  assertEquals(sent("user:%ff%41@"), "user:%ff%41");
  assertEquals(sent("us\u00e9r:\u20ac\u{1f511}@"), "us\u00e9r:\u20ac\u{1f511}");
});
