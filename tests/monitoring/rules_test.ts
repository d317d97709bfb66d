import { assert, assertEquals } from "@std/assert";
import { METRICS } from "../../src/agent/metrics.ts";
import { onHost } from "../e2e/harness.ts";
import { lacks } from "../real/lacks.ts";
import { ODD_SCANS } from "./known_state.ts";

const FOLDER = new URL("../../packaging/monitoring/", import.meta.url);

const ignore = await lacks("promtool");

/** Runs promtool beside the rules; `input` is its standard input. */
async function promtool(args: readonly string[], input = "") {
  const child = new Deno.Command("promtool", {
    args: [...args],
    cwd: FOLDER,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test(
  "promtool accepts the alert rules, and they fire when they should",
  { ignore },
  async () => {
    for (
      const args of [["check", "rules", "pennon.rules.yaml"], [
        "test",
        "rules",
        "pennon.rules.test.yaml",
      ]]
    ) {
      const { code, text } = await promtool(args);
      assertEquals(code, 0, text);
    }
  },
);

Deno.test(
  "promtool finds nothing to improve in what pennon metrics prints",
  { ignore },
  () =>
    onHost(async (host) => {
      await host.register();
      await Deno.writeTextFile(`${host.stateDirectory}/last-scans.json`, ODD_SCANS);
      const { code, out, err } = await host.pennon(["metrics"]);
      assertEquals(code, 0, err);
      assert(out.includes('source="a \\"quoted\\" \\\\ name"'), out);
      assertEquals(await promtool(["check", "metrics"], out), { code: 0, text: "" });
    }),
);

Deno.test("rules and dashboard use only metrics that there are", async () => {
  const known = new Set(Object.keys(METRICS));
  for (const name of ["pennon.rules.yaml", "pennon-dashboard.json"]) {
    const text = await Deno.readTextFile(new URL(name, FOLDER));
    const used = new Set(
      [...text.matchAll(/\bpennon_[a-z_]+/g)].map(([metric]) => metric),
    );
    assert(used.size > 5, name);
    assertEquals([...used].filter((metric) => !known.has(metric)), [], name);
  }
});

Deno.test("the dashboard has panels with queries, each with an id of its own", async () => {
  const text = await Deno.readTextFile(new URL("pennon-dashboard.json", FOLDER));
  const { panels, uid } = JSON.parse(text) as {
    uid: string;
    panels: { id: number; targets: { expr: string }[] }[];
  };
  assertEquals(uid, "pennon-fleet");
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assert(queries.length >= panels.length && panels.length > 10);
  if (ignore) return;
  // Grafana's variable becomes what it is for all hosts.
  const rules = queries.map((expr, index) =>
    `  - record: "query:${index}"\n    expr: ${JSON.stringify(expr.replaceAll("$instance", ".*"))}`
  );
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, `groups:\n- name: all\n  rules:\n${rules.join("\n")}\n`);
    const { code, text } = await promtool(["check", "rules", file]);
    assertEquals(code, 0, text);
  } finally {
    await Deno.remove(file);
  }
});
