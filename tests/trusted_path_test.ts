import fc from "fast-check";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileError, type FileKind, type PathStep } from "../src/system/files.ts";
import {
  checkMetricsFile,
  checkStateDirectory,
  type FileUse,
  programFault,
  readRootOwned,
  readTrusted,
  trustProblems,
} from "../src/trusted_path.ts";
import { FakeSystem } from "./fakes/system.ts";

/** A step as `ls` would show it: `drwx` by its mode, `user:group`. */
function step(path: string, kind: FileKind, mode: number, owner = 0, group = owner): PathStep {
  return { path, kind, mode, owner, group, sizeBytes: 0, modifiedMs: 0, identity: null };
}

const ROOT_DIRECTORY = step("/", "directory", 0o755);
const ETC = step("/etc", "directory", 0o755);
const TMP = step("/tmp", "directory", 0o1777);

const file = (mode: number, owner = 0, group = owner) =>
  step("/etc/config.toml", "file", mode, owner, group);
const directory = (mode: number, owner = 0, group = owner) =>
  step("/srv", "directory", mode, owner, group);

/** What becomes of a file at the end of these steps. */
function verdict(
  steps: readonly PathStep[],
  userId: number | null,
  use: FileUse,
  isWhole = true,
): string {
  const problems = trustProblems({ steps, isWhole }, { userId, use });
  if (problems.some(({ isRefused }) => isRefused)) return "refused";
  return problems.length > 0 ? "warned" : "fine";
}

const ROOT = 0;
const ME = 1_000;
const OTHER = 1_001;

Deno.test("trustProblems() checks the owner and mode of the file", () => {
  const rows: [
    use: FileUse,
    mode: number,
    owner: number,
    group: number,
    user: number,
    is: string,
  ][] = [
    // The configuration: root's, and nobody else may write it.
    ["configuration", 0o644, ROOT, ROOT, ROOT, "fine"],
    ["configuration", 0o600, ROOT, ROOT, ROOT, "fine"],
    ["configuration", 0o444, ROOT, 50, ROOT, "fine"],
    ["configuration", 0o646, ROOT, ROOT, ROOT, "refused"],
    ["configuration", 0o666, ROOT, ROOT, ROOT, "refused"],
    ["configuration", 0o664, ROOT, 50, ROOT, "refused"],
    ["configuration", 0o664, ROOT, ROOT, ROOT, "fine"],
    ["configuration", 0o644, ME, ME, ROOT, "refused"],
    ["configuration", 0o600, ME, ROOT, ROOT, "refused"],
    // An ordinary user: root's or one's own.
    ["configuration", 0o644, ROOT, ROOT, ME, "fine"],
    ["configuration", 0o644, ME, ME, ME, "fine"],
    ["configuration", 0o664, ME, ME, ME, "fine"],
    ["configuration", 0o664, ME, 50, ME, "warned"],
    ["configuration", 0o666, ME, ME, ME, "warned"],
    ["configuration", 0o644, OTHER, OTHER, ME, "warned"],
    // A key: a group may read it, others not.
    ["key", 0o600, ROOT, ROOT, ROOT, "fine"],
    ["key", 0o640, ROOT, 50, ROOT, "fine"],
    ["key", 0o604, ROOT, ROOT, ROOT, "refused"],
    ["key", 0o644, ROOT, ROOT, ME, "refused"],
    ["key", 0o602, ME, ME, ME, "warned"],
    ["key", 0o606, ME, ME, ME, "refused"],
    ["key", 0o660, ROOT, 50, ROOT, "refused"],
    ["key", 0o600, ME, ME, ROOT, "refused"],
    // The identity: nobody else at all.
    ["identity", 0o600, ROOT, ROOT, ROOT, "fine"],
    ["identity", 0o400, ME, ME, ME, "fine"],
    ["identity", 0o640, ROOT, ROOT, ROOT, "refused"],
    ["identity", 0o620, ME, ME, ME, "refused"],
    ["identity", 0o601, ME, ME, ME, "refused"],
    ["identity", 0o600, ME, ME, ROOT, "refused"],
    ["identity", 0o600, OTHER, OTHER, ME, "warned"],
  ];
  for (const [use, mode, owner, group, userId, is] of rows) {
    const steps = [ROOT_DIRECTORY, ETC, file(mode, owner, group)];
    const row = `${use} ${mode.toString(8)} ${owner}:${group} for ${userId}`;
    assertEquals(verdict(steps, userId, use), is, row);
  }
});

Deno.test("trustProblems() checks the state directory and each directory above it", () => {
  const state = (mode: number, owner = ROOT, group = owner) =>
    step("/srv/state", "directory", mode, owner, group);
  const rows: [steps: PathStep[], user: number, is: string][] = [
    [[directory(0o755), state(0o700)], ROOT, "fine"],
    [[directory(0o755), state(0o755)], ROOT, "fine"],
    [[directory(0o755), state(0o777)], ROOT, "refused"],
    [[directory(0o755), state(0o770, ROOT, 50)], ROOT, "refused"],
    [[directory(0o755), state(0o770)], ROOT, "fine"],
    // Sticky or not: in this very directory nobody else may make a file.
    [[directory(0o755), state(0o1777)], ROOT, "refused"],
    [[directory(0o755), state(0o700, ME)], ROOT, "refused"],
    [[directory(0o755), state(0o700, ME)], ME, "fine"],
    [[directory(0o755), state(0o700, OTHER)], ME, "warned"],
    [[directory(0o755), state(0o777, ME)], ME, "warned"],
    // The way there.
    [[directory(0o777), state(0o700)], ROOT, "refused"],
    [[directory(0o757), state(0o700)], ROOT, "refused"],
    [[directory(0o775, ROOT, 50), state(0o700)], ROOT, "refused"],
    [[directory(0o775), state(0o700)], ROOT, "fine"],
    [[directory(0o755, ME), state(0o700)], ROOT, "refused"],
    [[directory(0o755, ME), state(0o700, ME)], ME, "fine"],
    [[directory(0o777, ME), state(0o700, ME)], ME, "warned"],
    [[TMP, state(0o700)], ROOT, "fine"],
    [[TMP, state(0o700, OTHER)], ROOT, "refused"],
    [[step("/tmp", "directory", 0o1777, OTHER), state(0o700)], ROOT, "refused"],
    // Links: whose they are counts, their mode means nothing.
    [[step("/link", "link", 0o777), directory(0o755), state(0o700)], ROOT, "fine"],
    [[step("/link", "link", 0o777, OTHER), directory(0o755), state(0o700)], ROOT, "refused"],
  ];
  for (const [steps, userId, is] of rows) {
    const row = steps.map(({ path, mode, owner }) => `${path} ${mode?.toString(8)} ${owner}`)
      .join();
    assertEquals(
      verdict([ROOT_DIRECTORY, ...steps], userId, "state directory"),
      is,
      `${row} for ${userId}`,
    );
  }
});

Deno.test("trustProblems() checks the directories above a missing file", () => {
  for (const use of ["configuration", "key", "identity", "state directory"] as const) {
    const way = (last: PathStep) => verdict([ROOT_DIRECTORY, last], ROOT, use, false);
    assertEquals(way(directory(0o755)), "fine");
    assertEquals(way(TMP), "fine");
    assertEquals(way(directory(0o777)), "refused");
    assertEquals(way(directory(0o755, OTHER)), "refused");
    // Only of a directory does the sticky bit say who may replace what is in it.
    assertEquals(way(step("/file", "file", 0o1666)), "refused");
  }
});

Deno.test("trustProblems() trusts the owner of / and names that user", () => {
  const nobody = 65_534;
  const way = [step("/", "directory", 0o755, nobody), step("/etc", "directory", 0o755, nobody)];
  assertEquals(
    trustProblems({ steps: [...way, file(0o644, nobody)], isWhole: true }, {
      userId: ROOT,
      use: "configuration",
    }),
    [
      {
        isRefused: false,
        text: '"/" belongs to user 65534, who can replace every file on this host',
      },
    ],
  );
  assertEquals(verdict([...way, file(0o644, OTHER)], ROOT, "configuration"), "refused");
  assertEquals(verdict([...way, file(0o666, nobody)], ROOT, "configuration"), "refused");
  // Of a path that does not begin at the root, nothing is known of that.
  assertEquals(verdict([file(0o600, nobody)], ROOT, "identity"), "refused");
  assertEquals(verdict([...way, file(0o664, nobody)], ROOT, "configuration"), "refused");
  const own = step("/", "directory", 0o755, ME);
  assertEquals(verdict([own, file(0o644, ME)], ME, "configuration"), "fine");
  assertEquals(verdict([own, file(0o644, ROOT)], ME, "configuration"), "fine");
});

Deno.test("trustProblems() checks each path once, by its last step", () => {
  const way = (...steps: PathStep[]) => verdict([ROOT_DIRECTORY, ETC, ...steps], ROOT, "key");
  assertEquals(way(file(0o666), file(0o600)), "fine");
  assertEquals(way(file(0o600), file(0o666)), "refused");
  const steps = [directory(0o777), directory(0o777), file(0o600)];
  const question = { userId: ROOT, use: "key" } as const;
  assertEquals(trustProblems({ steps, isWhole: true }, question).length, 1);
});

Deno.test("trustProblems() quotes the next step for a shell", () => {
  const texts = (steps: PathStep[], userId: number, use: FileUse) =>
    trustProblems({ steps: [ROOT_DIRECTORY, ...steps], isWhole: true }, { userId, use })
      .map(({ text }) => text);
  assertEquals(texts([file(0o666, ME)], ROOT, "configuration"), [
    '"/etc/config.toml" belongs to user 1000. Next: chown root /etc/config.toml',
    '"/etc/config.toml" can be written by every user (mode 666). Next: chmod go-w /etc/config.toml',
  ]);
  assertEquals(texts([file(0o664, ROOT, 50)], ROOT, "configuration"), [
    '"/etc/config.toml" can be written by group 50 (mode 664). Next: chmod go-w /etc/config.toml',
  ]);
  assertEquals(texts([file(0o644)], ROOT, "key"), [
    '"/etc/config.toml" can be read by every user (mode 644). Next: chmod 600 /etc/config.toml',
  ]);
  assertEquals(texts([directory(0o777)], ROOT, "state directory"), [
    '"/srv" can be written by every user (mode 777). Next: chmod 700 /srv',
  ]);
  assertEquals(texts([directory(0o700, ME)], ROOT, "state directory"), [
    '"/srv" belongs to user 1000. Next: chown -R root /srv, or run pennon as user 1000',
  ]);
  assertEquals(texts([step("/a b'c", "link", 0o777, OTHER), file(0o644)], ROOT, "configuration"), [
    `"/a b'c" belongs to user 1001. Next: chown -h root '/a b'\\''c'`,
  ]);
  // Whose home it is stays as it is; Pennon's own directory is given back.
  const home = (path: string) => [step(path, "directory", 0o755, ME), file(0o644)];
  assertEquals(texts(home("/home/bob"), ROOT, "configuration"), [
    '"/home/bob" belongs to user 1000. Next: move the file to a directory that, with all above it, ' +
    "belongs to root, as /etc/pennon does, and name its new place",
  ]);
  assertEquals(
    texts([step("/home/bob", "directory", 0o755, ME), directory(0o700)], ROOT, "state directory"),
    [
      '"/home/bob" belongs to user 1000. Next: give a "--state-dir" that, with all above it, belongs to ' +
      "root, as /var/lib/pennon does",
    ],
  );
  assertEquals(texts(home("/etc/pennon"), ROOT, "configuration"), [
    '"/etc/pennon" belongs to user 1000. Next: chown root /etc/pennon',
  ]);
  assertEquals(texts([file(0o644, OTHER)], ME, "configuration"), [
    '"/etc/config.toml" belongs to user 1001. Next: sudo chown 1000 /etc/config.toml',
  ]);
});

Deno.test("trustProblems() returns nothing where users have no numbers", () => {
  const steps = [ROOT_DIRECTORY, file(0o666, OTHER)];
  assertEquals(verdict(steps, null, "identity"), "fine");
  const windows = { ...file(0), mode: null, owner: null, group: null };
  assertEquals(verdict([windows], null, "key"), "fine");
});

const anyStep = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  owner: fc.constantFrom(ROOT, ME, OTHER),
  group: fc.constantFrom(ROOT, ME, OTHER),
});

Deno.test("trustProblems() refuses for root whatever an ordinary user can change", () => {
  fc.assert(fc.property(
    fc.array(anyStep, { maxLength: 4 }),
    anyStep,
    fc.constantFrom<FileUse>("configuration", "key", "identity", "state directory"),
    (way, end, use) => {
      const steps = [
        ROOT_DIRECTORY,
        ...way.map(({ mode, owner, group }, index) =>
          step(`/${index}`, "directory", mode, owner, group)
        ),
        step(
          "/end",
          use === "state directory" ? "directory" : "file",
          end.mode,
          end.owner,
          end.group,
        ),
      ];
      // What an ordinary user, member of no group but his own, can do: change what is his, or what
      // the mode lets him; in a sticky directory, only what is his there.
      const canWrite = ({ mode, owner, group }: typeof end) =>
        owner === OTHER || (mode & 0o002) !== 0 || (group === OTHER && (mode & 0o020) !== 0);
      const canReplace = way.some((one, index) => {
        const next = way[index + 1] ?? end;
        const isSticky = (one.mode & 0o1000) !== 0 && one.owner !== OTHER;
        return canWrite(one) && (!isSticky || next.owner === OTHER);
      });
      const canRead = (end.mode & 0o004) !== 0 || (end.group === OTHER && (end.mode & 0o040) !== 0);
      const isAtRisk = canReplace || canWrite(end) || (use === "identity" && canRead) ||
        (use === "key" && (end.mode & 0o004) !== 0);
      if (isAtRisk) assert(verdict(steps, ROOT, use) === "refused");
    },
  ));
});

const CONFIG = {
  name: "the configuration",
  path: "/etc/config.toml",
  use: "configuration",
} as const;

function systemOf(userId: number): FakeSystem {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => userId };
  system.files.texts.set(CONFIG.path, "a text");
  return system;
}

Deno.test("readTrusted() returns the text, and errors for root where other users can change it", async () => {
  const system = systemOf(0);
  assertEquals(await readTrusted(system, { ...CONFIG, path: "/etc/absent" }), undefined);
  assertEquals(await readTrusted(system, CONFIG), { text: "a text", errors: [], warnings: [] });
  system.files.modes.set(CONFIG.path, 0o666);
  const read = await readTrusted(system, CONFIG);
  assertEquals(read?.errors, [
    'Cannot trust the configuration: "/etc/config.toml" can be written by every user (mode 666). ' +
    "Next: chmod go-w /etc/config.toml",
  ]);
});

Deno.test("readTrusted() only warns an ordinary user", async () => {
  const system = systemOf(1_000);
  system.files.owners.set("/etc", 1_001);
  assertEquals(await readTrusted(system, CONFIG), {
    text: "a text",
    errors: [],
    warnings: [
      'the configuration is not safe: "/etc" belongs to user 1001. Next: move the file to a directory ' +
      "that, with all above it, belongs to you or root, and name its new place",
    ],
  });
});

Deno.test("readTrusted() checks the file that was read, even if another one has its name now", async () => {
  for (const [before, after] of [[0o666, 0o644], [0o644, 0o666]] as const) {
    const system = systemOf(0);
    const { files } = system;
    files.modes.set(CONFIG.path, before);
    const trace = files.trace.bind(files);
    files.trace = (purpose, path) => {
      files.modes.set(CONFIG.path, after);
      return trace(purpose, path);
    };
    const read = await readTrusted(system, CONFIG);
    assertEquals(read?.errors.length, before === 0o666 ? 1 : 0);
  }
});

Deno.test("readTrusted() checks a file that was removed since, and the rest of its path", async () => {
  const system = systemOf(0);
  const { files } = system;
  files.modes.set(CONFIG.path, 0o666);
  files.owners.set("/etc", 1_001);
  const trace = files.trace.bind(files);
  files.trace = (purpose, path) => {
    files.texts.delete(CONFIG.path);
    files.texts.set("/etc/other", "");
    return trace(purpose, path);
  };
  assertEquals((await readTrusted(system, CONFIG))?.errors.length, 2);
});

Deno.test("an unreadable file is an error, and for root one that cannot be checked", async () => {
  const system = systemOf(0);
  system.files.fail("look at the way to the configuration", "denied");
  system.files.fail("look at the way to the state directory", "failed");
  const read = await readTrusted(system, CONFIG);
  assertEquals([read?.text, read?.errors.length, read?.warnings], ["a text", 1, []]);
  const state = await checkStateDirectory(system, "/state");
  assertEquals([state.errors, state.warnings.length], [[], 1]);
  system.machine = { ...system.machine, userId: () => 1_000 };
  const asUser = await readTrusted(system, CONFIG);
  assertEquals([asUser?.errors, asUser?.warnings.length], [[], 1]);
  system.files.fail("read the configuration", "denied");
  await assertRejects(() => readTrusted(system, CONFIG), FileError);
});

Deno.test("readTrusted() and checkStateDirectory() throw what is not a file error", async () => {
  const system = systemOf(0);
  system.files.trace = () => Promise.reject(new TypeError("a mistake of ours"));
  await assertRejects(() => readTrusted(system, CONFIG), TypeError, "a mistake of ours");
  await assertRejects(() => checkStateDirectory(system, "/state"), TypeError, "a mistake of ours");
});

Deno.test("checkStateDirectory() checks a directory, and the path to a missing one", async () => {
  const system = systemOf(0);
  const errors = async () => (await checkStateDirectory(system, "/var/lib/pennon")).errors.length;
  assertEquals(await errors(), 0);
  system.files.texts.set("/var/lib/other", "");
  system.files.modes.set("/var/lib", 0o777);
  assertEquals(await errors(), 1);
  system.files.modes.set("/var/lib", 0o1777);
  assertEquals(await errors(), 0);
  system.files.texts.set("/var/lib/pennon/state.json", "");
  system.files.modes.set("/var/lib/pennon", 0o1777);
  assertEquals(await errors(), 1);
});

Deno.test("readRootOwned() reads what only root can have written, whoever asks", async () => {
  const path = "/etc/app/key";
  const rows: [change: (system: FakeSystem) => void, isRead: boolean][] = [
    [() => {}, true],
    [({ machine }) => machine.userId = () => 0, true],
    [({ files }) => files.modes.set(path, 0o600), true],
    [({ files }) => files.modes.set(path, 0o664), true], // The group is root's.
    [({ files }) => files.modes.set(path, 0o646), false],
    [({ files }) => files.modes.set("/etc/app", 0o777), false],
    [({ files }) => files.owners.set(path, 1_000), false],
    [({ files }) => files.owners.set("/etc", 1_000), false],
    [({ files }) => files.texts.delete(path), false],
    [({ machine }) => machine.userId = () => null, false],
  ];
  for (const [change, isRead] of rows) {
    const system = new FakeSystem();
    system.files.texts.set(path, "text");
    change(system);
    const bytes = await readRootOwned(system, { name: "a key", path, maxBytes: 100 });
    assertEquals(bytes !== undefined, isRead, change.toString());
  }
});

Deno.test("checkMetricsFile() refuses root a directory of another user, also for a new file", async () => {
  const system = new FakeSystem();
  system.machine.userId = () => 0;
  const path = "/var/lib/node_exporter/pennon.prom";
  system.files.texts.set("/var/lib/node_exporter/other.prom", "");
  assertEquals((await checkMetricsFile(system, path)).errors, []);
  system.files.owners.set("/var/lib/node_exporter", 999);
  const { errors } = await checkMetricsFile(system, path);
  assertEquals(errors.length, 1);
  assert(errors[0]?.startsWith("Cannot trust metrics.textfile:"), errors[0]);
});

Deno.test("programFault() accepts what only root can have written, whoever starts it", async () => {
  const path = "/etc/pennon/hooks/on_outage";
  type Change = (system: FakeSystem) => void;
  const fault = async (change: Change, userId: number | null) => {
    const system = new FakeSystem();
    system.machine.userId = () => userId;
    system.files.texts.set(path, "");
    system.files.modes.set(path, 0o755);
    change(system);
    return await programFault(system, { name: "on_outage", path });
  };
  const rows: [change: Change, part: string | null, onWindows?: string][] = [
    [() => {}, null],
    [({ files }) => files.modes.set(path, 0o500), null],
    [({ files }) => files.modes.set(path, 0o644), "is not executable (mode 644). Next: chmod 755"],
    [({ files }) => files.modes.set(path, 0o757), "can be written by every user"],
    [({ files }) => files.owners.set(path, 1_000), "belongs to user 1000. Next: chown root"],
    [
      ({ files }) => files.owners.set("/etc/pennon/hooks", 1_000),
      '"/etc/pennon/hooks" belongs to user 1000. Next: chown root /etc/pennon/hooks',
    ],
    [({ files }) => files.modes.set("/etc", 0o777), '"/etc" can be written by every user'],
    [({ files }) => files.texts.delete(path), 'no program "', 'no program "'],
    [({ files }) => files.kinds.set(path, "fifo"), "is a FIFO, not a", "is a FIFO, not a"],
    [({ files }) => files.fail("look at on_outage", "denied"), "denied on purpose", "denied on"],
  ];
  for (const [change, part, onWindows = null] of rows) {
    for (const userId of [0, 1_000]) {
      const why = await fault(change, userId);
      assertEquals(why?.includes(part ?? "") ?? null, part === null ? null : true, why ?? "");
    }
    const why = await fault(change, null);
    assertEquals(why?.includes(onWindows ?? "") ?? null, onWindows === null ? null : true);
  }
});
