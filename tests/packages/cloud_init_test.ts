/** The cloud-init example at the first boot of a host: `deno task test:systemd` makes the hosts. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { publishAlone } from "../real/package_site.ts";
import { onMachine, TOKEN } from "../real/systemd_world.ts";
import { untilCheckIn } from "../real/until.ts";
import { PACKAGE_TESTS } from "./package_host.ts";

const EXAMPLE = "packaging/cloud-init/pennon.yaml";
const SEED = "/var/lib/cloud/seed/nocloud";

/** An instance of no cloud, small, whose network and package sources are the host's. */
const ON_THIS_HOST = `datasource_list: [NoCloud]
locale: false
network: {config: disabled}
apt_preserve_sources_list: true
`;

/** The example with an operator's own values in the places that it names. */
function userData(example: string, own: { key: string; url: string; server: string }): string {
  const indented = own.key.trimEnd().replaceAll(/^/gm, "      ").trimStart();
  const changes: [from: string | RegExp, to: string][] = [
    [/-----BEGIN[^]*-----END PGP PUBLIC KEY BLOCK-----/, indented],
    ["https://downloads.example/pennon", own.url],
    ["https://redflag.example", own.server],
    ["'TOKEN'", `'${TOKEN}'`],
  ];
  return changes.reduce((text, [from, to]) => {
    const changed = text.replace(from, () => to);
    assert(changed !== text, String(from));
    return changed;
  }, example);
}

for (const suite of ["bookworm", "trixie"]) {
  onMachine(
    `cloud-init on Debian ${suite}: installed, registered and started at the first boot`,
    { root: PACKAGE_TESTS?.roots[`fleet-${suite}`], executable: null },
    async ({ machine, server }) => {
      const { versions: [first], work } = PACKAGE_TESTS!;
      await using site = await publishAlone(first, ".deb", { work, name: `cloud-init-${suite}` });
      const key = await Deno.readTextFile(`${site.directory}/apt/pennon.asc`);
      const own = { key, url: site.url, server: server.url };
      const data = userData(await Deno.readTextFile(EXAMPLE), own);
      const write = async (path: string, text: string) => {
        await Deno.mkdir(`${machine.root}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeTextFile(`${machine.root}${path}`, text);
      };
      await write("/etc/apt/sources.list", "");
      await write("/etc/cloud/cloud.cfg.d/99-test.cfg", ON_THIS_HOST);
      await write(`${SEED}/user-data`, data);
      await write(`${SEED}/meta-data`, "instance-id: first\n");
      await machine.boot();
      await machine.ask("cloud-init", "schema", "--config-file", `${SEED}/user-data`);
      const said = await machine.run("cloud-init", "status", "--wait", "--long");
      const log = await machine.run("tail", "-n", "60", "/var/log/cloud-init-output.log");
      assertStringIncludes(said.out, "status: done", log.out);
      assertEquals(server.state().agents.length, 1, log.out);
      assertEquals((await machine.ask("systemctl", "is-active", "pennon")).trim(), "active");
      assertEquals((await machine.ask("systemctl", "is-enabled", "pennon")).trim(), "enabled");
      await untilCheckIn(server);

      await machine.powerOff();
      server.resetRequests();
      await machine.boot();
      await machine.run("cloud-init", "status", "--wait");
      await untilCheckIn(server);
      assertEquals(server.state().agents.length, 1);
    },
  );
}
