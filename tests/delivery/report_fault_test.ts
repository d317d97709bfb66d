import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import {
  afterGoodCheckIn,
  afterReport,
  asReportFailure,
  type ReportFault,
} from "../../src/delivery/report_fault.ts";
import type { Answer } from "../../src/server/answer.ts";
import { HttpError, type HttpErrorReason, type HttpRequest } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { log, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;
const INTERVAL_MS = 300_000;
const ITEMS = 20;

/** Whatever goes wrong on the way with a report that the way does not let through. */
const STOPPED = [
  ...[200, 302, 401, 403, 405, 406, 407, 415, 451, 501, 502, 503, 504],
  ...["cut_off", "timeout", "malformed", "too_large"] as const,
];

/** A list of updates; the one of this number is not let through. */
function list(commandId: string, bad: number | null): NewEvent {
  const updates = Array.from({ length: ITEMS }, (_, number) => ({
    package_name: number === bad ? "dreadful" : `p${number}`,
  }));
  const body = JSON.stringify({ command_id: commandId, updates });
  return { kind: "updates", commandId, snapshotOf: null, body };
}

class FilteredWorld extends World {
  /** Whether what is between the agent and its server stops reports. */
  isFiltered = true;
}

/** An agent that has checked in, and whose reports with such a text are stopped on the way. */
async function withFilter(
  stopped: number | HttpErrorReason,
  text: string,
): Promise<FilteredWorld> {
  const world = new FilteredWorld();
  world.maxAttempts = 10;
  const { sendHttp } = world.server;
  world.server.sendHttp = (request: HttpRequest) => {
    const { method, url, body = "" } = request;
    const isReport = method === "POST" && !url.endsWith("/renew");
    if (!world.isFiltered || !isReport || !body.includes(text)) return sendHttp(request);
    const path = new URL(url).pathname;
    const atMs = world.system.clock.monotonicMs();
    world.server.requests.push({ atMs, method, path, token: null, body: JSON.parse(body) });
    return typeof stopped === "number"
      ? Promise.resolve(response(stopped, "<html>no</html>"))
      : Promise.reject(new HttpError("Cannot reach it", { reason: stopped }));
  };
  await world.start();
  await world.advance(0);
  return world;
}

async function append(world: World, ...events: readonly NewEvent[]): Promise<void> {
  world.buffer.append(events);
  world.loop.afterAppend();
  await world.advance(0);
}

function delivered({ reports }: World, commandId: string): string[] {
  return reports.filter(({ body }) => body["command_id"] === commandId)
    .flatMap(({ report, body }) =>
      (body["updates"] as { package_name: string }[] | undefined)
        ?.map(({ package_name }) => package_name) ?? [report]
    );
}

for (const stopped of STOPPED) {
  Deno.test(`a list that something on the way stops holds up neither reports nor check-ins: ${stopped}`, async () => {
    const world = await withFilter(stopped, "dreadful");
    const before = world.checkIns();
    await append(world, list("scan", 7), log("scan"));
    await world.advance(30 * MINUTE_MS);
    await append(world, list("next", null), log("next"));
    await world.advance(30 * MINUTE_MS);
    const { reports } = world;
    // The command's own log and what comes after it have arrived, and all of the list but for one.
    assertEquals(delivered(world, "next").length, ITEMS + 1);
    const scan = delivered(world, "scan");
    assertEquals([scan.length, new Set(scan).size], [ITEMS, ITEMS]);
    assert(reports.some(({ report, body }) => report === "logs" && body["command_id"] === "scan"));
    // Check-ins come at their interval, and no token is renewed in a circle.
    const expected = 60 * MINUTE_MS / INTERVAL_MS;
    const checkIns = world.checkIns() - before;
    assert(checkIns >= expected - 1 && checkIns <= expected + 2, `${checkIns} check-ins`);
    assert(world.server.count("/renew") <= 1, `${world.server.count("/renew")} renewals`);
    assert(world.server.count("/updates") <= 35, `${world.server.count("/updates")} requests`);
    // Nothing is lost.
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals(pending + deadLetters, 1);
    assert(world.buffer.list()[0]?.body.includes("dreadful"));
    world.cutOff();
    await world.stop();
  });

  Deno.test(`a way that lets no report through, and check-ins, costs no attempt and delivers all in the end: ${stopped}`, async () => {
    const world = await withFilter(stopped, "");
    const before = world.checkIns();
    await append(world, list("scan", null), ...Array.from({ length: 30 }, (_, n) => log(`c${n}`)));
    await world.advance(6 * 60 * MINUTE_MS);
    const checkIns = world.checkIns() - before;
    assert(checkIns >= 70 && checkIns <= 76, `${checkIns} check-ins`);
    assert(world.server.count("/renew") <= 40, `${world.server.count("/renew")} renewals`);
    const { deadLetters } = world.buffer.counts();
    assertEquals([world.reports.length, deadLetters], [0, 0]);
    assert(world.buffer.list().every(({ attempts }) => attempts <= 1), "a list is bisected once");
    world.isFiltered = false;
    await world.advance(70 * MINUTE_MS);
    assertEquals([delivered(world, "scan").length, world.buffer.counts().pending], [ITEMS, 0]);
    assertEquals(world.reports.filter(({ report }) => report === "logs").length, 30);
    await world.stop();
  });
}

Deno.test("what gets no answer is never counted against an event, however often others get through", async () => {
  const world = await withFilter("cut_off", "dreadful");
  await append(world, { ...log("bad", "dreadful"), commandId: null });
  for (let hour = 0; hour < 48; hour++) {
    await append(world, log(`h${hour}`));
    await world.advance(60 * MINUTE_MS);
  }
  assertEquals(world.reports.length, 48);
  const [left, ...others] = world.buffer.list();
  assertEquals([left?.attempts, left?.state, others.length], [0, "pending", 0]);
  world.cutOff();
  await world.stop();
});

Deno.test("the fault is proven by a check-in that succeeds after a report had no answer, and by nothing else", () => {
  const faults = fc.constantFrom<ReportFault>("none", "suspected", "proven");
  const kinds = fc.constantFrom("ok", "failed", "limited", "refused", "unauthorized", "backoff");
  fc.assert(fc.property(faults, kinds, (fault, kind) => {
    const after = afterReport(fault, { kind });
    assert(after === "proven" ? fault === "proven" : true);
    assertEquals(
      after === "none",
      fault === "none" && kind !== "failed" && kind !== "unauthorized",
    );
  }));
  assertEquals(
    ["none", "suspected", "proven"].map((fault) => afterGoodCheckIn(fault as ReportFault)),
    [
      "none",
      "proven",
      "proven",
    ],
  );
});

Deno.test("asReportFailure() leaves an answer that concerns more than the report as it is", () => {
  const failed = {
    kind: "failed",
    why: "no",
    status: null,
    offline: false,
    retryAfterMs: null,
  } as const;
  const concerning: readonly Answer<never>[] = [
    { ...failed, offline: true },
    { ...failed, status: 503, retryAfterMs: 60_000 },
    { kind: "limited", why: "429", retryAfterMs: null },
    { kind: "operator_required", why: "403" },
    { kind: "aborted" },
  ];
  for (const answer of concerning) assertEquals(asReportFailure(answer, true), answer);
  assertEquals(asReportFailure(failed, false), failed);
  assertEquals(asReportFailure(failed, true), {
    kind: "report_failed",
    why: "no",
    unjudged: "may_have_arrived",
  });
  assertEquals(asReportFailure({ ...failed, status: 302 }, true).kind, "report_failed");
  assertEquals(asReportFailure({ ...failed, status: 500 }, false), {
    kind: "report_failed",
    why: "no",
  });
});
