import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import {
  afterGoodCheckIn,
  asReportFailure,
  UNANSWERED_AGAIN_MS,
  UnansweredReports,
} from "../../src/delivery/report_fault.ts";
import type { Answer } from "../../src/server/answer.ts";
import { HttpError, type HttpErrorReason, type HttpRequest } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { log, World } from "../fakes/world.ts";

const MINUTE_MS = 60_000;
const INTERVAL_MS = 300_000;
const ITEMS = 20;

/** Refusals that are no judgement of the server on the report. */
const REFUSED = [401, 403, 405, 406, 407, 415, 451];

/** Whatever else may come in place of the server's answer. */
const UNANSWERED = [
  ...[200, 302, 501, 502, 503, 504],
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

/** An agent with a list that is stopped, half an hour before another one; an hour later. */
async function anHourBehind(stopped: number | HttpErrorReason): Promise<FilteredWorld> {
  const world = await withFilter(stopped, "dreadful");
  const before = world.checkIns();
  await append(world, list("scan", 7), log("scan"));
  await world.advance(30 * MINUTE_MS);
  await append(world, list("next", null), log("next"));
  await world.advance(30 * MINUTE_MS);
  // What comes behind has arrived, and check-ins come at their interval.
  assertEquals(delivered(world, "next").length, ITEMS + 1);
  const expected = 60 * MINUTE_MS / INTERVAL_MS;
  const checkIns = world.checkIns() - before;
  assert(checkIns >= expected - 2 && checkIns <= expected + 3, `${checkIns} check-ins`);
  const opened = world.log.told("connection breaker opened").length;
  assert(opened <= 2, `the breaker opened ${opened} times`);
  return world;
}

async function end(world: FilteredWorld): Promise<void> {
  world.cutOff();
  await world.stop();
}

for (const status of REFUSED) {
  Deno.test(`a list that something on the way refuses is bisected, and holds up nothing: ${status}`, async () => {
    const world = await anHourBehind(status);
    // Of the list all but one item have arrived, and its command's log; no token is renewed in a circle.
    const scan = delivered(world, "scan");
    assertEquals([scan.length, new Set(scan).size, scan.includes("logs")], [ITEMS, ITEMS, true]);
    assert(world.server.count("/renew") <= 1, `${world.server.count("/renew")} renewals`);
    assert(world.server.count("/updates") <= 35, `${world.server.count("/updates")} requests`);
    const { pending, deadLetters } = world.buffer.counts();
    assertEquals(pending + deadLetters, 1);
    assert(world.buffer.list()[0]?.body.includes("dreadful"));
    await end(world);
  });
}

for (const stopped of UNANSWERED) {
  Deno.test(`a list to which the way gives no answer lets all others go first: ${stopped}`, async () => {
    const world = await anHourBehind(stopped);
    assert(world.server.count("/updates") <= 20, `${world.server.count("/updates")} requests`);
    // A whole day of one that has a status and of one that has none: the others are told in the same way.
    const hours = stopped === 502 || stopped === "cut_off" ? 24 : 3;
    await world.advance(hours * 60 * MINUTE_MS);
    assert(world.server.count("/updates") <= 60, `${world.server.count("/updates")} requests`);
    const opened = world.log.told("connection breaker opened").length;
    assert(opened <= 3, `the breaker opened ${opened} times`);
    assertEquals(world.buffer.list().map(({ attempts, state }) => [attempts, state]), [
      [0, "pending"],
      [0, "pending"],
    ]);
    world.isFiltered = false;
    await world.advance(70 * MINUTE_MS);
    assertEquals(delivered(world, "scan").length, ITEMS + 1);
    await end(world);
  });
}

for (const stopped of [...REFUSED, ...UNANSWERED]) {
  Deno.test(`a way that lets no report through, and check-ins, loses nothing: ${stopped}`, async () => {
    const world = await withFilter(stopped, "");
    const before = world.checkIns();
    await append(world, list("scan", null), ...Array.from({ length: 30 }, (_, n) => log(`c${n}`)));
    await world.advance(6 * 60 * MINUTE_MS);
    const checkIns = world.checkIns() - before;
    assert(checkIns >= 66 && checkIns <= 90, `${checkIns} check-ins`);
    assert(world.server.count("/renew") <= 2, `${world.server.count("/renew")} renewals`);
    assertEquals([world.reports.length, world.buffer.counts().deadLetters], [0, 0]);
    assert(world.buffer.list().every(({ attempts }) => attempts <= 1), "a list is bisected once");
    world.isFiltered = false;
    await world.advance(130 * MINUTE_MS);
    assertEquals([delivered(world, "scan").length, world.buffer.counts().pending], [ITEMS, 0]);
    assertEquals(world.reports.filter(({ report }) => report === "logs").length, 30);
    await world.stop();
  });
}

Deno.test("UnansweredReports lets a report wait only after a check-in between two failures, an hour at most", () => {
  const key = { id: "a", commandId: "c", place: 1 };
  // How many check-ins come before each further failure.
  const pauses = fc.array(fc.nat(14), { maxLength: 60, size: "max" });
  fc.assert(fc.property(pauses, (pauses) => {
    const reports = new UnansweredReports();
    const isWaiting = () => reports.waiting(UNANSWERED_AGAIN_MS).length > 0;
    let rounds = 0;
    reports.failed(key, 0);
    for (const checkIns of pauses) {
      assertEquals(isWaiting(), rounds > 0);
      for (let count = 1; count <= checkIns; count++) {
        reports.checkedIn();
        if (rounds === 0 || count >= 12) assertEquals(isWaiting(), false);
      }
      reports.failed(key, 0);
      if (checkIns > 0) rounds += 1;
    }
    reports.clear();
    assertEquals(isWaiting(), false);
  }));
});

Deno.test("a token that reports alone were refused with is renewed for them again once one was accepted", async () => {
  const world = await withFilter(401, "dreadful");
  await append(world, list("scan", 7), log("scan"));
  await world.advance(30 * MINUTE_MS);
  const renewals = world.server.count("/renew");
  await append(world, log("good"));
  await world.advance(MINUTE_MS);
  assertEquals(delivered(world, "good"), ["logs"]);
  await append(world, log("dreadful-too"));
  await world.advance(MINUTE_MS);
  assertEquals(world.server.count("/renew"), renewals + 1);
  await end(world);
});

Deno.test("UnansweredReports lets a report wait a minute at least, however fast check-ins come, and forgets it", () => {
  const reports = new UnansweredReports();
  const key = { id: "a", commandId: "c", place: 1 };
  for (let failures = 0; failures < 2; failures++) {
    reports.failed(key, 1_000);
    reports.checkedIn();
  }
  assertEquals(reports.waiting(1_000 + UNANSWERED_AGAIN_MS - 1), [key]);
  assertEquals(reports.waiting(1_000 + UNANSWERED_AGAIN_MS), []);
  reports.answered("a");
  assertEquals(reports.waiting(1_000), []);
  reports.failed(key, 0);
  assertEquals(reports.waiting(0), [], "it begins anew");
});

Deno.test("asReportFailure() leaves an answer that concerns more than the report as it is", () => {
  const failed = {
    kind: "failed",
    why: "no",
    status: null,
    offline: false,
    retryAfterMs: null,
  } as const;
  const refused = { kind: "unauthorized", why: "HTTP 401" } as const;
  const concerning: readonly Answer<never>[] = [
    failed,
    { ...failed, status: 503, retryAfterMs: 60_000 },
    { kind: "limited", why: "429", retryAfterMs: null },
    { kind: "operator_required", why: "403" },
    { kind: "aborted" },
  ];
  for (const answer of concerning) assertEquals(asReportFailure(answer, "proven"), answer);
  assertEquals(asReportFailure(refused, "suspected"), refused);
  assertEquals(asReportFailure(refused, afterGoodCheckIn("none")), refused);
  assertEquals(asReportFailure(refused, afterGoodCheckIn("suspected")), {
    kind: "report_failed",
    why: "HTTP 401",
    isUnjudged: true,
  });
  const broken = { ...failed, status: 500 };
  assertEquals(asReportFailure(broken, "none"), { kind: "report_failed", why: "no" });
});
