import { assert, assertEquals } from "@std/assert";
import { projectUrl, startDeno } from "./deno_child.ts";
import { lacks } from "./lacks.ts";

const decoder = new TextDecoder();

function script(code: string): string {
  return `import { RealTerminal } from "${projectUrl("src/system/real/terminal.ts")}";
  const terminal = new RealTerminal();
  ${code}`;
}

/** Runs a shell command in which `"$@"` is a Deno that runs `code`; answers what it wrote. */
async function inShell(command: string, code: string): Promise<{ code: number; out: string }> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, script(code));
    const deno = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--no-config", "-A", path];
    const { code: exit, stdout } = await new Deno.Command("/bin/sh", {
      args: ["-c", command, "sh", ...deno],
      stdin: "null",
      stderr: "inherit",
    }).output();
    return { code: exit, out: decoder.decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

Deno.test({
  name: "print() into a pipe whose reader ended drops the rest without a word",
  ignore: await lacks("head"),
  async fn() {
    const { code, out } = await inShell(
      `{ "$@" 2>&1 1>&3 | sed 's/^/stderr: /' >&2; } 3>&1 | head -n 1`,
      `for (let line = 0; line < 20_000; line++) terminal.print("line " + line);
     terminal.printError("end");`,
    );
    assertEquals([code, out], [0, "line 0\n"]);
  },
});

Deno.test("a program whose output nobody reads comes to its end with its own code", async () => {
  await using child = await startDeno(script(
    `for (let line = 0; line < 20_000; line++) terminal.print("line " + line);
     Deno.exit(5);`,
  ));
  assert((await child.firstOutput()).startsWith("line 0\n"));
  await child.process.stdout.cancel();
  assertEquals((await child.process.status).code, 5);
});

Deno.test({
  name: "printError() with stderr closed is no error",
  ignore: await lacks("true"),
  async fn() {
    const { code, out } = await inShell(
      `{ "$@" 2>&1 1>&3 | true; } 3>&1`,
      `for (let line = 0; line < 20_000; line++) terminal.printError("line " + line);
     terminal.print("end");`,
    );
    assertEquals([code, out], [0, "end\n"]);
  },
});

Deno.test({
  name: "print() writes everything into a full pipe that does not block",
  ignore: await lacks("perl"),
  async fn() {
    const unblock = "use Fcntl; fcntl(STDOUT, F_SETFL, fcntl(STDOUT, F_GETFL, 0) | O_NONBLOCK); " +
      "exec @ARGV";
    const lines = ["x".repeat(99_999), "y", "z".repeat(4_095), "é\n\né".repeat(5_000), ""];
    const { out } = await inShell(
      `perl -e '${unblock}' "$@" | { sleep 0.5; cat; }`,
      `for (let round = 0; round < 20; round++) {
       for (const line of ${JSON.stringify(lines)}) terminal.print(line);
     }`,
    );
    assert(out === `${lines.join("\n")}\n`.repeat(20), `${out.length} characters`);
  },
});

Deno.test({
  name: "print() fails where its output is lost for another reason",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { out } = await inShell(
      `"$@" > /dev/full 2> /dev/null; echo $?`,
      `terminal.print("line");`,
    );
    assertEquals(out, "1\n");
  },
});

Deno.test("without a terminal there is no progress, no colour and a width of 80", async () => {
  await using child = await startDeno(script(
    `terminal.showProgress("half way");
     terminal.print([terminal.stdoutIsTerminal, terminal.columns()].join());`,
  ));
  assertEquals(await child.firstOutput(), "false,80\n");
});

Deno.test({
  name: "on a terminal, progress stays on its line and makes room for lines",
  ignore: await lacks("script"),
  async fn() {
    const { out } = await inShell(
      `script -qec "stty cols 20; $*" /dev/null`,
      `terminal.showProgress("reading");
     terminal.showProgress("still reading, and for rather long\\nnot this");
     terminal.print([terminal.stdoutIsTerminal, terminal.columns()].join());
     terminal.printError("no progress to clear");
     terminal.showProgress("writing");
     terminal.showProgress("");
     terminal.print("end");`,
    );
    const clear = "\r\x1b[2K";
    assertEquals(
      out,
      `${clear}reading${clear}still reading, and ${clear}true,20\r\nno progress to clear\r\n` +
        `${clear}writing${clear}end\r\n`,
    );
  },
});

Deno.test("readInput() reads to the end or to its limit", async () => {
  for (const [sent, expected] of [["", ""], ["é1", "é1"], ["123456", "123"]] as const) {
    await using child = await startDeno(
      script(`terminal.print("<" + await terminal.readInput(3) + ">");`),
      [],
      { stdin: "piped" },
    );
    const writer = child.process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(sent));
    await writer.close();
    assertEquals(await child.firstOutput(), `<${expected}>\n`);
  }
});

Deno.test({
  name: "ask() reads one line of a terminal, and nothing where there is none",
  ignore: await lacks("script"),
  async fn() {
    const code = `terminal.print("<" + await terminal.ask("Go?") + ">");
    terminal.print("<" + await terminal.ask("Sure?") + ">");`;
    const asked = await inShell(`printf 'y \\nno\\n' | script -qec "$*" /dev/null`, code);
    // The terminal repeats what is typed, at any place.
    const said = asked.out.replaceAll(/(?<!<)(?:y |no)\r\n/g, "");
    assertEquals(said, "Go? <y>\r\nSure? <no>\r\n");
    assertEquals((await inShell('"$@" 2>&1 < /dev/null', code)).out, "<undefined>\n<undefined>\n");
  },
});

Deno.test({
  name: "nothing that is printed can steer the terminal, and what is drawn over can",
  ignore: await lacks("sh"),
  async fn() {
    const steering = "a\\u001b[2J\\u009b\\u202e\\u2028\\ud800\\tb\\nc";
    const { code, out } = await inShell(
      '"$@" 2>&1',
      `terminal.print("${steering}"); terminal.printError("${steering}"); terminal.clearScreen();`,
    );
    const shown = "a[2J\tb\nc\n";
    assertEquals([code, out], [0, `${shown}${shown}\u001b[H\u001b[J`]);
  },
});

Deno.test({
  name: "print() keeps colours on a terminal where the text asks for it, and in no pipe",
  ignore: await lacks("script", "cat"),
}, async () => {
  const code = `terminal.print("\\x1b[31mred\\x1b[0m \\x1b[2Jrest", { colours: true });
    terminal.print("\\x1b[31mplain\\x1b[0m");`;
  const onTerminal = await inShell(
    `words=$(printf '%s ' "$@"); script --quiet --return --command "$words" /dev/null`,
    code,
  );
  assertEquals(onTerminal.out, "\x1b[31mred\x1b[0m [2Jrest\r\n[31mplain[0m\r\n");
  const inPipe = await inShell(`"$@" | cat`, code);
  assertEquals(inPipe.out, "[31mred[0m [2Jrest\n[31mplain[0m\n");
});

Deno.test({
  name:
    "printError() marks each line with its priority where the journal reads stderr, and only there",
  ignore: await lacks("cat"),
  async fn() {
    const code = `terminal.printError("a\\nb", 3); terminal.printError("c"); terminal.print("d");`;
    const file = await Deno.makeTempFile();
    try {
      const { dev, ino } = await Deno.stat(file);
      for (
        const [stream, written] of [
          [`${dev}:${ino}`, "<3>a\n<3>b\nc\n"],
          [`${dev}:${(ino ?? 0) + 1}`, "a\nb\nc\n"],
          ["", "a\nb\nc\n"],
          ["nonsense", "a\nb\nc\n"],
        ]
      ) {
        const command = `JOURNAL_STREAM='${stream}' "$@" 2>'${file}'; cat '${file}'`;
        assertEquals((await inShell(command, code)).out, `d\n${written}`, stream);
      }
      const closed = `JOURNAL_STREAM='${dev}:${ino}' "$@" 2>&-`;
      assertEquals((await inShell(closed, code)).out, "d\n");
    } finally {
      await Deno.remove(file);
    }
  },
});
