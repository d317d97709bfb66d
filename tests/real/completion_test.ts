import { assertEquals } from "@std/assert";
import { describedCommands } from "../../src/cli/cli.ts";
import { completionScript, type Shell } from "../../src/cli/completion.ts";
import { manualFiles } from "../../tools/man.ts";
import { needs } from "./needs.ts";

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
    const { stdout, stderr } = await new Deno.Command(program, { args: [...args, ...lines] })
      .output();
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
  ...await needs("bash completes commands, actions, options and values", "bash"),
  fn: () =>
    checkShell(
      "bash",
      [...ROWS, ...OF_ACTIONS],
      (script) => ["bash", "-c", BASH, "bash", script],
      lastItem,
    ),
});

Deno.test({
  ...await needs("bash completes files after --config, and directories after --state-dir", "bash"),
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

/** Types each line and a tab in an interactive shell, in which `compadd` prints what it would offer. */
const ZSH = String.raw`zmodload zsh/zpty
zpty z zsh -f -i
drain() { local line; while zpty -r z line; do [[ $line == *"$1"* ]] && break; done }
zpty -w z 'PROMPT=; setopt nolistbeep; autoload -Uz compinit; compinit -u -D; echo rea"dy"1'
drain ready1
zpty -w z "source $1; echo rea\"dy\"2"
drain ready2
zpty -w z 'compadd() { if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi; typeset -a hits; builtin compadd -A hits "$@"; (( $#hits )) || return 1; print -l -- hit=\${^hits}; }; ended() { print end"ing" }; zle -N ended; bindkey "^T" ended; bindkey "^I" complete-word; echo rea"dy"3'
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
  ...await needs("zsh completes commands, actions, options and values", "zsh"),
  fn: () => checkShell("zsh", ROWS, (script) => ["zsh", "-f", "-c", ZSH, "zsh", script]),
});

const FISH = `source $argv[1]
for line in $argv[2..-1]
  echo "== $line"
  complete -C "$line" | string replace -r '\\t.*' ''
end`;

Deno.test({
  ...await needs("fish completes commands, actions, options and values", "fish"),
  fn: () =>
    checkShell(
      "fish",
      [...ROWS, ...OF_ACTIONS],
      (script) => ["fish", "--no-config", "-c", FISH, script],
      lastItem,
    ),
});

Deno.test({
  ...await needs("the manual pages have no fault that groff or mandoc finds", "groff", "mandoc"),
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
