import { assertEquals } from "@std/assert";
import { describedCommands } from "../../src/cli/cli.ts";
import { completionScript, type Shell } from "../../src/cli/completion.ts";
import { manualFiles } from "../../tools/man.ts";
import { lacks } from "./lacks.ts";

/** What the shell offers at the end of a line; of fish, in whole words. */
const ROWS: readonly [line: string, offers: string[]][] = [
  ["pennon sta", ["status"]],
  ["pennon events ", ["list", "purge", "requeue", "show"]],
  ["pennon events r", ["requeue"]],
  ["pennon config ", ["check", "show"]],
  ["pennon breaker reset c", ["connection"]],
  ["pennon completion p", ["powershell"]],
  ["pennon help unr", ["unregister"]],
  ["pennon scan --ref", ["--refresh"]],
  ["pennon --state-dir /tmp scan --ref", ["--refresh"]],
  ["pennon --config=/x scan --only d", ["dnf"]],
  ["pennon --state-dir /tmp --log-f", ["--log-format"]],
  ["pennon scan --log-level w", ["warning"]],
  ["pennon --log-format j", ["json"]],
  // A token is nobody's to guess.
  ["pennon register --token t", []],
  // No command of this name.
  ["pennon bogus --o", []],
  ["pennon scan --only apt,wing", ["winget"]],
  ["pennon scan --log-level=w", ["warning"]],
];

/** Only where an action's own options are told apart. */
const OF_ACTIONS: readonly [line: string, offers: string[]][] = [
  ["pennon events list --de", ["--dead"]],
  ["pennon events --al", ["--all"]],
  ["pennon events show --de", []],
  ["pennon events requeue 0197f0 --al", ["--all"]],
];

const PATIENCE_MS = 120_000;

/** Asks a shell: prints `== LINE` and what it offers, one per line. */
async function offered(
  shell: Shell,
  lines: readonly string[],
  ask: (script: string) => string[],
): Promise<string[][]> {
  const script = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(script, completionScript(shell, await describedCommands()));
    const [program = "", ...args] = ask(script);
    const signal = AbortSignal.timeout(PATIENCE_MS); // A shell that hangs must not hang the tests.
    const { stdout, stderr } = await new Deno.Command(program, {
      args: [...args, ...lines],
      signal,
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    const answers = new TextDecoder().decode(stdout).split(/^== .*$/m).slice(1);
    return answers.map((answer) => [...new Set(answer.split("\n").filter(Boolean))].sort());
  } finally {
    await Deno.remove(script);
  }
}

async function checkShell(
  shell: Shell,
  rows: readonly (readonly [string, string[]])[],
  ask: (script: string) => string[],
  trim: (offer: string) => string = (offer) => offer,
): Promise<void> {
  const found = await offered(shell, rows.map(([line]) => line), ask);
  const answers = rows.map(([line], index) => [line, found[index]?.map(trim) ?? []] as const);
  assertEquals(answers, rows.map(([line, offers]) => [line, offers] as const));
}

/** Splits a line as bash does for a completion: at blanks, and around `=`. */
const BASH = `source "$1"; shift
for line; do
  IFS=" " read -ra COMP_WORDS <<< "\${line//=/ = }"
  [[ $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  _pennon
  echo "== $line"; printf "%s\\n" "\${COMPREPLY[@]}"
done`;

/** The last item of a list is completed with those before it. */
const lastItem = (offer: string) => offer.replace(/^.*[,=]/, "");

Deno.test({
  name: "bash completes commands, actions, options and values",
  ignore: await lacks("bash"),
  fn: () =>
    checkShell(
      "bash",
      [...ROWS, ...OF_ACTIONS],
      (script) => ["bash", "-c", BASH, "bash", script],
      lastItem,
    ),
});

Deno.test({
  name: "bash completes files after --config, and directories after --state-dir",
  ignore: await lacks("bash"),
  async fn() {
    const ask = (script: string) => {
      return ["bash", "-c", `compopt() { COMPREPLY=("$2"); }; ${BASH}`, "bash", script];
    };
    await checkShell("bash", [
      ["pennon --config /et", ["default"]],
      ["pennon run --state-dir ", ["dirnames"]],
      ["pennon register --adopt x", ["default"]],
    ], ask);
  },
});

/**
 * Types each line and a tab in an interactive shell, in which `compadd` prints what it would offer. Nothing is
 * typed before the line editor reads: until then the terminal itself takes a Control-U, and drops the line.
 */
const ZSH = String.raw`zmodload zsh/zpty
zpty z zsh -f -i
drain() { local line; while zpty -r z line; do [[ $line == *"$1"* ]] && break; done }
zpty -w z 'PROMPT=; setopt nolistbeep; autoload -Uz compinit; compinit -u -D; echo rea"dy"1'
drain ready1
zpty -w z "source $1; echo rea\"dy\"2"
drain ready2
zpty -w z 'compadd() { if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi; typeset -a hits; builtin compadd -A hits "$@"; (( $#hits )) || return 1; print -l -- hit=\${^hits}; }; ended() { print end"ing" }; zle -N ended; bindkey "^T" ended; bindkey "^I" complete-word; zle-line-init() { print rea"dy"3 }; zle -N zle-line-init'
drain ready3
shift
for words in "$@"; do
  zpty -w -n z "$words"$'\t\C-T\C-U'
  print -- "== $words"
  while zpty -r z line; do
    line=\${line//$'\r'/}
    [[ $line == *hit=* ]] && print -r -- \${line##*hit=}
    [[ $line == *ending* ]] && break
  done
done
zpty -d z`.replaceAll("\\${", "${");

Deno.test({
  name: "zsh completes commands, actions, options and values",
  ignore: await lacks("zsh"),
  fn: () => checkShell("zsh", ROWS, (script) => ["zsh", "-f", "-c", ZSH, "zsh", script]),
});

const FISH = `source $argv[1]
for line in $argv[2..-1]
  echo "== $line"
  complete -C "$line" | string replace -r '\\t.*' ''
end`;

Deno.test({
  name: "fish completes commands, actions, options and values",
  ignore: await lacks("fish"),
  fn: () =>
    checkShell(
      "fish",
      [...ROWS, ...OF_ACTIONS],
      (script) => ["fish", "--no-config", "-c", FISH, script],
      lastItem,
    ),
});

Deno.test({
  name: "the manual pages have no fault that groff or mandoc finds",
  ignore: await lacks("groff", "mandoc"),
  async fn() {
    const pages = [...await manualFiles("2026-11-30")].filter(([path]) => path.endsWith(".1"));
    assertEquals(pages.length > 10, true);
    const directory = await Deno.makeTempDir();
    try {
      for (const [path, text] of pages) {
        const file = `${directory}/${path.replace(/^.*\//, "")}`;
        await Deno.writeTextFile(file, text);
        const groff = ["-man", "-ww", "-z", "-Tutf8", file];
        const mandoc = ["-Tlint", "-W", "warning", file];
        for (const [program, args] of [["groff", groff], ["mandoc", mandoc]] as const) {
          const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args] })
            .output();
          const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
          assertEquals([path, program, code, said], [path, program, 0, ""]);
        }
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** Prints each place that the grammar cannot read. */
const PARSE = `import sys, tree_sitter, tree_sitter_powershell
language = tree_sitter.Language(tree_sitter_powershell.language())
tree = tree_sitter.Parser(language).parse(open(sys.argv[1], "rb").read())
def walk(node):
    if node.is_error or node.is_missing: print(node.start_point, node.type)
    for child in node.children: walk(child)
walk(tree.root_node)`;

/** PowerShell itself cannot be had everywhere; packages tree-sitter and tree-sitter-powershell of pip can. */
const PYTHON = Deno.env.get("PENNON_PYTHON") ?? "python3";

async function parses(file: string): Promise<{ code: number; faults: string }> {
  const { code, stdout } = await new Deno.Command(PYTHON, {
    args: ["-c", PARSE, file],
    stderr: "null",
  }).output();
  return { code, faults: new TextDecoder().decode(stdout) };
}

const hasGrammar = !await lacks("python3") && (await parses("/dev/null")).code === 0;

Deno.test({
  name: "PowerShell's grammar reads the completion script, and finds a fault in a broken one",
  ignore: !hasGrammar,
}, async () => {
  const script = completionScript("powershell", await describedCommands());
  const file = await Deno.makeTempFile({ suffix: ".ps1" });
  try {
    await Deno.writeTextFile(file, script);
    assertEquals(await parses(file), { code: 0, faults: "" });
    await Deno.writeTextFile(file, script.replace("foreach (", "foreach "));
    assertEquals((await parses(file)).faults === "", false);
  } finally {
    await Deno.remove(file);
  }
});
