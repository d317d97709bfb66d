import { assertEquals } from "@std/assert";
import { completeAdvice, scopeOptions } from "../../src/cli/advice.ts";

Deno.test("completeAdvice() adds the given options to each command, and to nothing else", () => {
  const given = { values: { "state-dir": "/srv/p", config: "/etc/p.toml", "log-level": "debug" } };
  assertEquals(
    completeAdvice(
      "see pennon; `pennon scan --only apt`, then `pennon run`, or `apt update`",
      given,
    ),
    "see pennon; `pennon scan --only apt --config /etc/p.toml --state-dir /srv/p`, then " +
      "`pennon run --config /etc/p.toml --state-dir /srv/p`, or `apt update`",
  );
  assertEquals(completeAdvice("`pennon run`", { values: {} }), "`pennon run`");
});

Deno.test("scopeOptions() quotes what a shell would read otherwise", () => {
  const quoted = (value: string) => scopeOptions({ values: { "state-dir": value } });
  assertEquals(quoted("/a/b-c_d.e"), " --state-dir /a/b-c_d.e");
  assertEquals(quoted("C:\\ProgramData\\Pennon"), " --state-dir C:\\ProgramData\\Pennon");
  assertEquals(quoted("/my state"), " --state-dir '/my state'");
  assertEquals(quoted("/it's"), " --state-dir '/it'\\''s'");
  assertEquals(quoted("$(x)"), " --state-dir '$(x)'");
});
