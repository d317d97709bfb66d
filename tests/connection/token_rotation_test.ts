import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { TokenRotation } from "../../src/connection/token_rotation.ts";
import { type Identity, loadIdentity, saveIdentity } from "../../src/identity.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Renewal } from "../../src/server/protocol.ts";
import { FileError } from "../../src/system/files.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const IDENTITY: Identity = {
  agentId: "a",
  serverUrl: "https://server.test",
  accessToken: "access-0",
  refreshToken: "refresh-0",
  isRefreshTokenUnsent: true,
  intervalMs: null,
};

const unauthorized: Answer<never> = { kind: "unauthorized", why: "HTTP 401" };
const lost = {
  kind: "failed",
  why: "cut off",
  status: null,
  offline: false,
  retryAfterMs: null,
} as const;

function renewed(access: string, refresh?: string): Answer<Renewal> {
  return { kind: "ok", value: { token: access, refresh_token: refresh }, rateLimit: null };
}

/** A rotation on a disk, and a server that answers as listed; `sent` are the refresh tokens it got. */
async function setUp(answers: (Answer<Renewal> | (() => Promise<Answer<Renewal>>))[]) {
  const system = new FakeSystem();
  const log = new FakeLog();
  const sent: string[] = [];
  await saveIdentity(system, "/state", IDENTITY);
  const client = {
    renew: (_id: string, refreshToken: string) => {
      sent.push(refreshToken);
      const answer = answers.shift();
      assert(answer, "one renewal too many");
      return typeof answer === "function" ? answer() : Promise.resolve(answer);
    },
  };
  const deps = { system, stateDirectory: "/state", client, log };
  const stored = async () => {
    const identity = await loadIdentity(system, "/state");
    return [identity?.accessToken, identity?.refreshToken];
  };
  return { system, log, sent, deps, stored, rotation: new TokenRotation(deps, IDENTITY) };
}

Deno.test("renew() saves the new pair of RedFlag 0.2, and uses it at the next renewal", async () => {
  const { rotation, sent, stored } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
  ]);
  const answer = await rotation.renew();
  assertEquals(answer, { kind: "ok", value: { token: "access-1" }, rateLimit: null });
  assertEquals(await stored(), ["access-1", "refresh-1"]);
  await rotation.renew();
  assertEquals([sent, await stored()], [["refresh-0", "refresh-1"], ["access-2", "refresh-2"]]);
  assertEquals(rotation.identity.refreshToken, "refresh-2");
});

Deno.test("renew() keeps the refresh token of RedFlag 0.1, which answers with none", async () => {
  const { rotation, sent, stored } = await setUp([
    renewed("access-1"),
    renewed("access-2"),
    unauthorized,
  ]);
  await rotation.renew();
  await rotation.renew();
  assertEquals((await rotation.renew()).kind, "unauthorized");
  assertEquals(sent, ["refresh-0", "refresh-0", "refresh-0"]);
  assertEquals(await stored(), ["access-2", "refresh-0"]);
});

Deno.test("renew() goes on with an access token that the disk refuses, and renews with the stored one", async () => {
  const { rotation, system, log, sent, stored } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
    renewed("access-3", "refresh-3"),
  ]);
  system.files.fail("save the identity", "full");
  assertEquals((await rotation.renew()).kind, "ok");
  assertEquals(rotation.identity.accessToken, "access-1");
  assertEquals(await stored(), ["access-0", "refresh-0"]);
  assert(log.told("cannot save the access token").length > 0);
  await rotation.renew();
  assertEquals([sent, await stored()], [["refresh-0", "refresh-0"], ["access-0", "refresh-0"]]);
  system.files.heal("save the identity");
  await rotation.renew();
  assertEquals([sent.at(-1), await stored()], ["refresh-2", ["access-3", "refresh-3"]]);
});

Deno.test("saveUnsaved() saves the pair that the disk had refused, for a restart and for the next renewal", async () => {
  const { rotation, system, sent, stored, deps } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
  ]);
  system.files.fail("save the identity", "full");
  await rotation.renew();
  rotation.saveUnsaved();
  await rotation.idle();
  assertEquals(await stored(), ["access-0", "refresh-0"]);
  system.files.heal("save the identity");
  rotation.saveUnsaved();
  await rotation.idle();
  assertEquals([await stored(), sent.length], [["access-1", "refresh-1"], 1]);
  const found = await loadIdentity(system, "/state");
  assert(found !== undefined);
  await new TokenRotation(deps, found).renew();
  assertEquals([sent, await stored()], [["refresh-0", "refresh-1"], ["access-2", "refresh-2"]]);
});

Deno.test("saveUnsaved() saves nothing where another process has renewed since", async () => {
  const { rotation, system, stored } = await setUp([renewed("access-1", "refresh-1")]);
  system.files.fail("save the identity", "full");
  await rotation.renew();
  system.files.heal("save the identity");
  await saveIdentity(system, "/state", { ...IDENTITY, accessToken: "a-9", refreshToken: "r-9" });
  rotation.saveUnsaved();
  await rotation.idle();
  assertEquals(await stored(), ["a-9", "r-9"]);
});

Deno.test("renew() resolves when the new pair is on disk", async () => {
  const { rotation, system } = await setUp([renewed("access-1", "refresh-1")]);
  const write = system.files.writeText.bind(system.files);
  const disk = Promise.withResolvers<void>();
  system.files.writeText = async (purpose, path, text, options) => {
    if (text.includes("refresh-1")) await disk.promise;
    await write(purpose, path, text, options);
  };
  let isDone = false;
  const renewal = rotation.renew().then(() => isDone = true);
  const idle = rotation.idle();
  await settle();
  assertEquals(isDone, false);
  disk.resolve();
  await idle;
  assertEquals((await loadIdentity(system, "/state"))?.refreshToken, "refresh-1");
  await renewal;
});

Deno.test("renew() sends one request at a time, and none for a signal that is aborted", async () => {
  const first = Promise.withResolvers<Answer<Renewal>>();
  const { rotation, sent } = await setUp([
    () => first.promise,
    renewed("access-2", "refresh-2"),
  ]);
  const renewals = [rotation.renew(), rotation.renew()];
  await settle();
  assertEquals(sent, ["refresh-0"]);
  first.resolve(renewed("access-1", "refresh-1"));
  await Promise.all(renewals);
  assertEquals(sent, ["refresh-0", "refresh-1"]);
  assertEquals(await rotation.renew({ signal: AbortSignal.abort() }), { kind: "aborted" });
  assertEquals(sent.length, 2);
});

Deno.test("renew() notes on disk that a token is sent before it sends it, and saves the new one after it", async () => {
  const { rotation, system, sent } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
  ]);
  const saved: [sentBefore: number, durability: unknown][] = [];
  const write = system.files.writeText.bind(system.files);
  system.files.writeText = async (...given) => {
    saved.push([sent.length, given[3].durability]);
    await write(...given);
  };
  await rotation.renew();
  await rotation.renew();
  assertEquals(saved, [[0, "name"], [1, "name"], [1, "name"], [2, "name"]]);
});

Deno.test("renew() uses the pair of another process on the same directory", async () => {
  const { rotation, system, sent } = await setUp([renewed("access-9", "refresh-9")]);
  await saveIdentity(system, "/state", { ...IDENTITY, refreshToken: "refresh-8" });
  await rotation.renew();
  assertEquals(sent, ["refresh-8"]);
});

Deno.test("renew() never replaces the identity of another agent", async () => {
  for (const other of [{ agentId: "b" }, { serverUrl: "https://other.test" }]) {
    const { rotation, system, log, sent } = await setUp([
      renewed("access-1", "refresh-1"),
      renewed("access-2", "refresh-2"),
    ]);
    const theirs = { ...IDENTITY, ...other, refreshToken: "theirs" };
    await saveIdentity(system, "/state", theirs);
    await rotation.renew();
    await rotation.renew();
    assertEquals(sent, ["refresh-0", "refresh-1"], "nobody else has these tokens");
    assertEquals(await loadIdentity(system, "/state"), theirs);
    assert(log.told("tokens not saved: the directory belongs to another agent").length > 0);
  }
});

Deno.test("renew() uses the last stored token while the disk cannot be read", async () => {
  const { rotation, system, log, sent } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
    renewed("access-3", "refresh-3"),
  ]);
  await rotation.renew();
  system.files.fail("read the identity", "failed");
  system.files.fail("save the identity", "failed");
  await rotation.renew();
  await rotation.renew();
  assertEquals(sent, ["refresh-0", "refresh-1", "refresh-1"]);
  assertEquals(log.told("cannot read the tokens").length, 3);
});

Deno.test("renew() goes back to the spent token where its successor is refused at its first use", async () => {
  const { rotation, sent, stored } = await setUp([
    renewed("access-1", "refresh-1"),
    unauthorized, // A request that the server handled late has replaced refresh-1.
    renewed("access-2", "refresh-2"),
  ]);
  await rotation.renew();
  assertEquals((await rotation.renew()).kind, "ok");
  assertEquals(sent, ["refresh-0", "refresh-1", "refresh-0"]);
  assertEquals(await stored(), ["access-2", "refresh-2"]);
});

Deno.test("renew() goes back to no spent token whose successor may be spent, or that is not on disk", async () => {
  for (const unanswered of [lost, { kind: "aborted" } as const]) {
    const { rotation, sent } = await setUp([
      renewed("access-1", "refresh-1"),
      unanswered,
      unauthorized,
    ]);
    await rotation.renew();
    await rotation.renew();
    assertEquals((await rotation.renew()).kind, "unauthorized");
    assertEquals(sent, ["refresh-0", "refresh-1", "refresh-1"]);
  }
  const { rotation, system, sent } = await setUp([renewed("access-1", "refresh-1"), unauthorized]);
  await rotation.renew();
  system.files.fail("save the identity", "full");
  assertEquals((await rotation.renew()).kind, "unauthorized");
  assertEquals(sent, ["refresh-0", "refresh-1"]);
});

/** The families of RedFlag 0.2, as far as a client can see them: protocol 0.2, section 2.5. */
class Families {
  readonly #tokens = new Map<string, { successor: string | null; isRevoked: boolean }>();
  #access = "access-0";
  isFamilyRevoked = false;
  rotates = true;

  constructor(first: string) {
    this.#tokens.set(first, { successor: null, isRevoked: false });
  }

  accepts(accessToken: string): boolean {
    return accessToken === this.#access;
  }

  renew(refreshToken: string): Answer<Renewal> {
    const token = this.#tokens.get(refreshToken);
    if (token === undefined || token.isRevoked || this.isFamilyRevoked) return unauthorized;
    const count = this.#tokens.size;
    if (!this.rotates) return renewed(this.#access = `access-${count}-same`);
    if (token.successor !== null) {
      const successor = this.#tokens.get(token.successor)!;
      if (successor.isRevoked || successor.successor !== null) {
        this.isFamilyRevoked = true;
        return unauthorized;
      }
      successor.isRevoked = true;
    }
    token.successor = `refresh-${count}`;
    this.#tokens.set(token.successor, { successor: null, isRevoked: false });
    return renewed(this.#access = `access-${count}`, token.successor);
  }
}

Deno.test("renew() of a process that finds a token sent keeps its predecessor, until six hours are over", async () => {
  const hours = (count: number) => count * 3_600_000;
  const { system, deps, sent } = await setUp([
    renewed("access-1", "refresh-1"),
    renewed("access-2", "refresh-2"),
    renewed("access-3", "refresh-3"),
    renewed("access-4", "refresh-4"),
  ]);
  const { isRefreshTokenUnsent: _, ...maybeSent } = IDENTITY;
  await saveIdentity(system, "/state", maybeSent);
  const rotation = new TokenRotation(deps, maybeSent);
  const stored = () => loadIdentity(system, "/state");
  await rotation.renew();
  assertEquals((await stored())?.previousRefreshToken, "refresh-0");
  // An earlier process may have sent refresh-0 a moment ago: the server may still replace refresh-1.
  await rotation.renew();
  assertEquals(sent, ["refresh-0", "refresh-0"]);
  await system.clock.advance(hours(6));
  await rotation.renew();
  assertEquals(sent.at(-1), "refresh-2");
  assertEquals(await stored(), {
    ...IDENTITY,
    accessToken: "access-3",
    refreshToken: "refresh-3",
  });
  await rotation.renew();
  assertEquals(sent.at(-1), "refresh-3");
});

Deno.test("renew() of another process goes back to the predecessor that the disk has", async () => {
  const { system, deps, sent } = await setUp([
    lost, // The server handles it late, and replaces refresh-1.
    renewed("access-1", "refresh-1"),
    unauthorized,
    renewed("access-2", "refresh-2"),
  ]);
  const rotation = new TokenRotation(deps, IDENTITY);
  await rotation.renew();
  await rotation.renew();
  const found = await loadIdentity(system, "/state");
  assertEquals([found?.refreshToken, found?.previousRefreshToken], ["refresh-1", "refresh-0"]);
  const next = new TokenRotation(deps, found!);
  await system.clock.advance(6 * 3_600_000);
  assertEquals((await next.renew()).kind, "ok");
  assertEquals(sent, ["refresh-0", "refresh-0", "refresh-1", "refresh-0"]);
});

const STEPS = [
  ...["renew", "renew", "renew", "renew", "answer lost", "not reached", "401", "403", "500"],
  ...["handled late", "disk refuses", "disk renames without sync", "disk works"],
  ...["crash", "crash before the answer", "crash in the save", "power cut"],
  ...["old server", "new server", "six hours pass"],
] as const;

/** An agent on a disk with a cache, and the server's families; each step is one event of its life. */
class Life {
  readonly families = new Families("refresh-0");
  readonly #system = new FakeSystem();
  /** What a power cut leaves. */
  #synced = "";
  #disk: "works" | "refuses" | "renames" | "kills" = "works";
  /** The disk refused to sync the token that was sent. */
  #isUnsyncedSent = false;
  /** The process was killed: what it would send after that never leaves it. */
  #isDead = false;
  #next: typeof STEPS[number] = "renew";
  /** A request whose answer nobody awaits; the server handles it after the next one. */
  #late: string | null = null;
  #rotation!: TokenRotation;

  async start(): Promise<void> {
    const { files } = this.#system;
    if (this.#synced === "") {
      await saveIdentity(this.#system, "/state", IDENTITY);
      this.#synced = files.texts.get("/state/identity.json")!;
      const write = files.writeText.bind(files);
      files.writeText = async (...given) => {
        if (this.#disk === "refuses") throw new FileError("full", { reason: "full" });
        await write(...given);
        if (this.#disk === "kills") {
          this.#isDead = true;
          throw new FileError("killed", { reason: "failed" });
        }
        if (this.#disk === "renames") throw new FileError("not synced", { reason: "failed" });
        this.#isUnsyncedSent = false;
        this.#synced = given[2];
      };
    }
    this.#isDead = false;
    const identity = await loadIdentity(this.#system, "/state");
    this.#rotation = new TokenRotation({
      system: this.#system,
      stateDirectory: "/state",
      client: { renew: (_, token) => Promise.resolve(this.#answer(token)) },
      log: new FakeLog(),
    }, identity!);
  }

  async step(step: typeof STEPS[number]): Promise<void> {
    switch (step) {
      case "disk refuses":
        this.#disk = "refuses";
        return;
      case "disk renames without sync":
        this.#disk = "renames";
        return;
      case "disk works":
        this.#disk = "works";
        return;
      case "old server":
      case "new server":
        this.families.rotates = step === "new server";
        return;
      case "six hours pass":
        this.#late = null; // The server does not hold a request for so long.
        return await this.#system.clock.advance(6 * 3_600_000);
      case "crash":
        return await this.start();
      case "power cut":
        // A disk that refuses to sync, and then loses its power too, is beyond any program.
        if (this.#isUnsyncedSent) return;
        this.#system.files.texts.set("/state/identity.json", this.#synced);
        return await this.start();
      case "crash in the save":
        if (this.#disk === "works") this.#disk = "kills";
        await this.#rotation.renew();
        if (this.#disk === "kills") this.#disk = "works";
        return await this.start();
      case "crash before the answer":
        this.#next = "answer lost";
        await this.#rotation.renew();
        return await this.start();
      default:
        this.#next = step;
        await this.#rotation.renew();
    }
  }

  /** With a disk and a server that work, the agent has a good token again. */
  async recovers(): Promise<boolean> {
    this.#disk = "works";
    this.#next = "renew";
    const answer = await this.#rotation.renew();
    return answer.kind === "ok" && this.families.accepts(answer.value.token);
  }

  #answer(refreshToken: string): Answer<Renewal> {
    const kind = this.#next;
    this.#next = "renew";
    if (this.#isDead) return lost;
    const text = this.#system.files.texts.get("/state/identity.json");
    this.#isUnsyncedSent ||= text !== this.#synced;
    switch (kind) {
      case "answer lost":
        this.#handle(refreshToken);
        return lost;
      case "handled late":
        this.#late = refreshToken;
        return lost;
      case "not reached":
        return { ...lost, offline: true };
      case "500":
        return { ...lost, status: 500 };
      case "401":
        return unauthorized;
      case "403":
        return { kind: "operator_required", why: "HTTP 403" };
      default:
        return this.#handle(refreshToken);
    }
  }

  #handle(refreshToken: string): Answer<Renewal> {
    const answer = this.families.renew(refreshToken);
    if (this.#late !== null) this.families.renew(this.#late);
    this.#late = null;
    return answer;
  }
}

async function live(steps: readonly typeof STEPS[number][]): Promise<void> {
  const life = new Life();
  await life.start();
  for (const step of steps) {
    await life.step(step);
    assert(!life.families.isFamilyRevoked, "the family was revoked");
  }
  assert(await life.recovers(), "no token in the end");
}

Deno.test("renew() never makes the server revoke the family, and ends with a good token, whatever happens", async () => {
  const others = STEPS.filter((step) => step !== "handled late");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...others), { maxLength: 40 }), live),
    { numRuns: 500 },
  );
});

Deno.test("renew() leaves a token that it has replaced itself, as the disk refused, and keeps its predecessor", () =>
  live([
    ...["answer lost", "renew", "disk refuses", "six hours pass"] as const,
    ...["renew", "disk works", "crash in the save"] as const,
  ]));

Deno.test("renew() survives requests that the server handles late, after a later one", async () => {
  const late = ["handled late", "renew", "renew"] as const;
  const steps = fc.constantFrom<(typeof STEPS[number])[]>(
    ...[["renew"], ["401"], ["403"], ["not reached"], [...late]] as (typeof STEPS[number])[][],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 20 }), (parts) => live(parts.flat())),
    { numRuns: 500 },
  );
});
