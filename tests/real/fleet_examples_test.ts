/** What packaging/ has for fleets, read by the programs that it is written for. */

import { assertEquals } from "@std/assert";
import { sourcesFile } from "../../tools/release/apt_repository.ts";
import { repoFile } from "../../tools/release/dnf_repository.ts";
import { lacks } from "./lacks.ts";

const PLAYBOOK = "packaging/ansible/site.yml";
const USER_DATA = "packaging/cloud-init/pennon.yaml";

async function mustAccept(program: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
}

Deno.test({
  name: "the Ansible role passes --syntax-check",
  ignore: await lacks("ansible-playbook"),
  fn: () => mustAccept("ansible-playbook", "--syntax-check", "--inventory=localhost,", PLAYBOOK),
});

Deno.test({
  name: "the Ansible role passes ansible-lint",
  ignore: await lacks("ansible-lint"),
  fn: () => mustAccept("ansible-lint", "--offline", "--nocolor", PLAYBOOK),
});

Deno.test({
  name: "cloud-init accepts the example",
  ignore: await lacks("cloud-init"),
  fn: () => mustAccept("cloud-init", "schema", "--config-file", USER_DATA),
});

Deno.test("the Ansible role writes the files that the repositories publish", async () => {
  const url = "https://updates.example/pennon";
  const render = async (name: string) => {
    const path = `packaging/ansible/roles/pennon/templates/${name}.j2`;
    return (await Deno.readTextFile(path)).replaceAll("{{ pennon_repository_url }}", url);
  };
  assertEquals(await render("pennon.sources"), sourcesFile(`${url}/apt`));
  assertEquals(await render("pennon.repo"), repoFile(`${url}/rpm`));
});
