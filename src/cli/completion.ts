/**
 * The completion scripts of four shells, from the table of commands. A script has everything in it: a press
 * of the tab key starts no program, so it is fast and works before the host is registered. Pure.
 */

import type { ActionSpec, DescribedCommand } from "./command.ts";
import { GLOBAL_OPTIONS, type OptionSpec, VERSION_WORDS } from "./options.ts";

export type Shell = "bash" | "zsh" | "fish" | "powershell";

/** The script that defines the completions of `pennon` for a shell. */
export function completionScript(shell: Shell, commands: readonly DescribedCommand[]): string {
  switch (shell) {
    case "bash":
      return bashScript(commands);
    case "zsh":
      return zshScript(commands);
    case "fish":
      return fishScript(commands);
    case "powershell":
      return powershellScript(commands);
  }
}

/** The words before the cursor, options left out, and the options that are allowed there. */
interface Place {
  /** A command, perhaps with an action. */
  readonly words: readonly string[];
  readonly options: readonly OptionSpec[];
}

/** A place for each command, and one for each action that has options of its own. */
function placesOf({ name, options, actions = [] }: DescribedCommand): Place[] {
  const limited = options.some((option) => option.actions !== undefined);
  const own = limited ? actions : [];
  return [
    ...own.map((action) => ({
      words: [name, action.name],
      options: options.filter(({ actions }) => actions?.includes(action.name) ?? true),
    })),
    { words: [name], options },
  ];
}

/** A word that may come next, with its line of help. */
interface NextWord {
  readonly word: string;
  readonly summary: string;
}

/** The words that may follow a command's name, or an action's: `["breaker", "reset"]`. */
function followers(commands: readonly DescribedCommand[]): [front: string[], next: NextWord[]][] {
  const choices = (argument: ActionSpec["argument"]) =>
    (argument?.choices ?? []).map((word) => ({ word, summary: argument?.name ?? "" }));
  const all = commands.flatMap(({ name, actions = [], argument }) => [
    [[name], actions.map((action) => ({ word: action.name, summary: action.summary }))],
    [[name], choices(argument)],
    ...actions.map((action) => [[name, action.name], choices(action.argument)]),
  ]) as [string[], NextWord[]][];
  return all.filter(([, next]) => next.length > 0);
}

/** Every option, of all commands, that is followed by a value. */
function withValue(commands: readonly DescribedCommand[]): string[] {
  const all = [...GLOBAL_OPTIONS, ...commands.flatMap(({ options }) => options)];
  return [...new Set(all.filter(({ value }) => value !== undefined).map(flagOf))];
}

function flagOf({ name }: OptionSpec): string {
  return `--${name}`;
}

function flagsOf(options: readonly OptionSpec[]): string[] {
  return [...options, ...GLOBAL_OPTIONS].map(flagOf);
}

function wordsOf(next: readonly NextWord[]): string {
  return next.map(({ word }) => word).join(" ");
}

function bashScript(commands: readonly DescribedCommand[]): string {
  const values = [
    ...GLOBAL_OPTIONS.map((option) => [`*:${flagOf(option)}`, option] as const),
    ...commands.flatMap(({ name, options }) =>
      options.map((option) => [`${name}:${flagOf(option)}`, option] as const)
    ),
  ].filter(([, { value }]) => value !== undefined);
  const places = commands.flatMap(placesOf);
  const names = commands.map(({ name }) => name).join(" ");
  return `# Completions of pennon for bash. Written by "pennon completion bash".
_pennon() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  # Bash makes three words of --option=value.
  if [[ $cur == "=" ]]; then cur=
  elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  local word skip= front= command= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == "=" ]]; then skip=1; continue; fi
    if [[ $skip ]]; then skip=; continue; fi
    case $word in
      ${withValue(commands).join("|")}) skip=1 ;;
      -*) ;;
      *)
        [[ $command ]] || command=$word
        front="$front\${front:+ }$word"
        ;;
    esac
  done
  COMPREPLY=()
  case "$command:$prev" in
${values.map(([pattern, option]) => `    ${pattern}) ${bashValue(option)}; return ;;`).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    case $front in
${
    places.map(({ words, options }) => {
      const pattern = `"${words.join(" ")}"`;
      return `      ${pattern}|${pattern}\\ *) _pennon_words "${flagsOf(options).join(" ")}" ;;`;
    }).join("\n")
  }
      "") _pennon_words "${[...flagsOf([]), "--version"].join(" ")}" ;;
    esac
    return
  fi
  case $front in
    "") _pennon_words "${names}" ;;
${
    followers(commands).map(([front, next]) =>
      `    "${front.join(" ")}") _pennon_words "${wordsOf(next)}" ;;`
    ).join("\n")
  }
  esac
}
_pennon_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}
# A list with commas: completes its last item.
_pennon_list() {
  local front=
  [[ $cur == *,* ]] && front="\${cur%,*},"
  COMPREPLY=($(compgen -P "$front" -W "$1" -- "\${cur##*,}"))
}
complete -F _pennon pennon
`;
}

function bashValue({ choices, isList, completes }: OptionSpec): string {
  if (choices) return `${isList ? "_pennon_list" : "_pennon_words"} "${choices.join(" ")}"`;
  if (completes === "file") return "compopt -o default";
  return completes === "directory" ? "compopt -o dirnames" : ":";
}

function zshScript(commands: readonly DescribedCommand[]): string {
  const all = followers(commands);
  const cases = commands.map(({ name, options, actions }) => {
    const specs = [...options, ...GLOBAL_OPTIONS].map(zshOption);
    const words = all.filter(([front]) => front[0] === name);
    const first = words.find(([front]) => front.length === 1);
    const later = words.filter(([front]) => front.length === 2);
    if (first) specs.push(`'1:${actions ? "action" : "argument"}:((${zshChoices(first[1])}))'`);
    if (later.length > 0) specs.push(`'2: :->argument'`);
    const lines = [`_arguments -C ${specs.map((spec) => `\\\n          ${spec}`).join(" ")}`];
    if (later.length > 0) {
      const inner = later.map(([front, next]) => `${front[1]}) compadd ${wordsOf(next)} ;;`);
      lines.push(`[[ $state == argument ]] && case $line[1] in ${inner.join(" ")} esac`);
    }
    return `      ${name})\n        ${lines.join("\n        ")}\n        ;;`;
  });
  return `#compdef pennon
# Completions of pennon for zsh. Written by "pennon completion zsh".
_pennon() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
${GLOBAL_OPTIONS.map((option) => `    ${zshOption(option)} \\`).join("\n")}
    '(${VERSION_WORDS.join(" ")})'{${VERSION_WORDS.join(",")}}'[Show the version]' \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
  command)
    local -a commands
    commands=(
${commands.map((one) => `      ${quote(`${one.name}:${one.summary}`)}`).join("\n")}
    )
    _describe -t commands command commands
    ;;
  rest)
    local name=$line[1]
    state=
    case $name in
${cases.join("\n")}
    esac
    ;;
  esac
}
if [[ $funcstack[1] == _pennon ]]; then _pennon "$@"; else compdef _pennon pennon; fi
`;
}

function zshOption(
  { name, letter, value, valueIsOptional, choices, isList, completes, summary }: OptionSpec,
): string {
  const help = `[${summary.replaceAll(/[\\[\]:]/g, "\\$&")}]`;
  if (value === undefined) {
    return letter === undefined
      ? quote(`--${name}${help}`)
      : `'(-${letter} --${name})'{-${letter},--${name}}${quote(help)}`;
  }
  const words = choices?.join(" ");
  const action = words === undefined
    ? { file: "_files", directory: "_files -/", none: " " }[completes ?? "none"]
    : isList
    ? `_sequence compadd - ${words}`
    : `(${words})`;
  return quote(`--${name}=${help}:${valueIsOptional ? ":" : ""}${value}:${action}`);
}

/** For the action `((…))` of `_arguments`, within single quotes. */
function zshChoices(next: readonly NextWord[]): string {
  return next.map(({ word, summary }) =>
    `${word}\\:"${summary.replaceAll(/[\\"$\`:]/g, "\\$&").replaceAll("'", "'\\''")}"`
  ).join(" ");
}

/** In single quotes, as every shell but PowerShell reads them. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishScript(commands: readonly DescribedCommand[]): string {
  const lines = [
    ...commands.map(({ name, summary }) => fishLine("__pennon_is", `-a ${name}`, summary)),
    ...followers(commands).flatMap(([front, next]) =>
      next.map(({ word, summary }) =>
        fishLine(`__pennon_is ${front.join(" ")}`, `-a ${word}`, summary)
      )
    ),
    ...commands.flatMap(placesOf).flatMap((place) => fishOptions(place)),
    ...GLOBAL_OPTIONS.map((option) => fishLine(null, fishOption(option), option.summary)),
    fishLine("__pennon_is", "-s v -s V -l version", "Show the version"),
  ];
  return `# Completions of pennon for fish. Written by "pennon completion fish".

# The words before the cursor that are neither options nor their values.
function __pennon_given
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip -eq 1
      set skip 0
      continue
    end
    switch $word
      case ${withValue(commands).join(" ")}
        set skip 1
      case '-*'
      case '*'
        echo $word
    end
  end
end
function __pennon_is
  set -l given (string join ' ' (__pennon_given))
  test "$given" = "$argv"
end
function __pennon_begins
  string match -q -- "$argv *" (string join ' ' (__pennon_given))' '
end
complete -c pennon -f
${lines.join("\n")}
`;
}

/** Where no action has been given, only the command's place is; an action's place begins with the command. */
function fishOptions({ words, options }: Place): string[] {
  const isAction = words.length > 1;
  const own = isAction ? options.filter(({ actions }) => actions !== undefined) : options;
  return own.map((option) => {
    const isLimited = option.actions !== undefined && !isAction;
    const test = `${isLimited ? "__pennon_is" : "__pennon_begins"} ${words.join(" ")}`;
    return fishLine(test, fishOption(option), option.summary);
  });
}

function fishLine(test: string | null, what: string, summary: string): string {
  const condition = test === null ? "" : ` -n ${quote(test)}`;
  const text = `'${summary.replaceAll(/[\\']/g, "\\$&")}'`;
  return `complete -c pennon${condition} ${what} -d ${text}`;
}

function fishOption(
  { name, letter, value, valueIsOptional, choices, isList, completes }: OptionSpec,
): string {
  const option = `${letter === undefined ? "" : `-s ${letter} `}-l ${name}`;
  if (value === undefined) return option;
  const words = choices?.join(" ");
  if (words !== undefined) {
    return `${option} -x -a '${isList ? `(__fish_append , ${words})` : words}'`;
  }
  if (completes === "directory") return `${option} -x -a '(__fish_complete_directories)'`;
  const files = completes === "file" ? " -F" : "";
  return valueIsOptional ? `${option}${files}` : `${option} -r${files || " -f"}`;
}

function powershellScript(commands: readonly DescribedCommand[]): string {
  const places = commands.flatMap(placesOf);
  const entries = (next: readonly NextWord[]) =>
    next.map(({ word, summary }) => `\n      ${psQuote(`${word}|${summary}`)}`).join("");
  const optionEntries = (options: readonly OptionSpec[]) =>
    entries(
      [...options, ...GLOBAL_OPTIONS].map((one) => ({ word: flagOf(one), summary: one.summary })),
    );
  const values = [
    ...GLOBAL_OPTIONS.map((option) => [flagOf(option), option] as const),
    ...commands.flatMap(({ name, options }) =>
      options.map((option) => [`${name} ${flagOf(option)}`, option] as const)
    ),
  ].filter(([, { choices }]) => choices !== undefined);
  return `# Completions of pennon for PowerShell. Written by "pennon completion powershell".
Register-ArgumentCompleter -Native -CommandName 'pennon' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  # What may follow these words, with a line of help.
  $following = @{
    '' = @(${entries(commands.map(({ name, summary }) => ({ word: name, summary })))}
    )
${
    followers(commands).map(([front, next]) =>
      `    ${psQuote(front.join(" "))} = @(${entries(next)}\n    )`
    ).join("\n")
  }
  }
  $options = @{
    '' = @(${optionEntries([])}
    )
${
    places.map(({ words, options }) =>
      `    ${psQuote(words.join(" "))} = @(${optionEntries(options)}\n    )`
    ).join("\n")
  }
  }
  $choices = @{
${
    values.map(([key, { choices = [] }]) =>
      `    ${psQuote(key)} = @(${choices.map(psQuote).join(", ")})`
    ).join("\n")
  }
  }
  $withValue = @(${withValue(commands).map(psQuote).join(", ")})
  $given = @()
  $previous = ''
  foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
    if ($element.Extent.EndOffset -ge $cursorPosition) { break }
    $word = $element.ToString()
    if ($withValue -notcontains $previous -and -not $word.StartsWith('-')) { $given += $word }
    $previous = $word
  }
  $typed = $wordToComplete
  $front = ''
  $key = $given -join ' '
  $found = $null
  if ($typed -match '^(--[a-z-]+)=(.*)$') {
    $previous = $Matches[1]
    $front = "$previous="
    $typed = $Matches[2]
  }
  if ($withValue -contains $previous) {
    $known = $choices["$($given | Select-Object -First 1) $previous"]
    if ($null -eq $known) { $known = $choices[$previous] }
    if ($typed -match '^(.*,)([^,]*)$') {
      $front = $front + $Matches[1]
      $typed = $Matches[2]
    }
    $found = @($known | Where-Object { $_ } | ForEach-Object { "$_|$_" })
  } elseif ($typed.StartsWith('-')) {
    while ($key -ne '' -and -not $options.ContainsKey($key)) {
      $key = ($key -split ' ' | Select-Object -SkipLast 1) -join ' '
    }
    $found = $options[$key]
  } else {
    $found = $following[$key]
  }
  foreach ($one in $found) {
    $word, $help = $one -split '\\|', 2
    if (-not $word.StartsWith($typed)) { continue }
    $text = $front + $word
    [System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $help)
  }
}
`;
}

function psQuote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
