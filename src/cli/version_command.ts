/** `pennon version`: the version, the platform, and what the executable was made from. */

import { safeJson } from "../strip_controls.ts";
import { BUILD, type Build, VERSION } from "../version.ts";
import { type CliCommand, JSON_OPTION } from "./command.ts";

/** The command; nothing of it needs a configuration or a state directory. */
export const versionCommand: CliCommand = {
  usage: "[--json]",
  details: [],
  options: [JSON_OPTION],
  maxArguments: 0,
  run({ os, architecture, terminal }, { flags }) {
    const answer = {
      schema: "pennon.version/1",
      version: VERSION,
      os,
      architecture,
      ...buildFields(BUILD),
    };
    const text = [`pennon ${VERSION} (${os}, ${architecture})`, ...describeBuild(BUILD)];
    terminal.print(flags.has("json") ? safeJson(answer) : text.join("\n"));
    return Promise.resolve(0);
  },
};

/** The fields of `--json` about the build; `commit` and `base` are `null` where there is nothing to say. */
export function buildFields(build: Build | null) {
  return {
    commit: build?.commit ?? null,
    dirty: build?.isDirty ?? false,
    deno: build?.deno ?? null,
    base: build?.base ?? null,
  };
}

/** The lines of the text about the build. */
export function describeBuild(build: Build | null): string[] {
  if (build === null) return ["from source"];
  const commit = build.commit ?? "unknown (the sources were not in a clone)";
  return [
    `commit ${commit}${build.isDirty ? ", dirty" : ""}`,
    `Deno ${build.deno}, ${BASES[build.base]}`,
  ];
}

const BASES: Readonly<Record<Build["base"], string>> = {
  deno: "Deno's own base",
  pypi: "base from PyPI, not Deno's own",
  named: "base named by the builder",
};
