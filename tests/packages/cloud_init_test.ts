/** The cloud-init example at the first boot of a host: `deno task test:systemd` makes the hosts. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { endSigner, makeSigner, publish, Site } from "../real/package_site.ts";
import { Machine, until } from "../real/systemd_machine.ts";
import { PACKAGE_TESTS } from "./package_host.ts";

const TOKEN = "a-registration-token";
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
  const root = PACKAGE_TESTS?.roots[`fleet-${suite}`];
  Deno.test({
    name: `cloud-init on Debian ${suite}: installed, registered and started at the first boot`,
    ignore: root === undefined, // By deno task test:systemd alone.
    fn: async () => {
      const { versions: [first], work } = PACKAGE_TESTS!;
      await using site = new Site();
      site.directory = `${work}/cloud-init-${suite}`;
      const signer = await makeSigner(work, `cloud-init-${suite}`);
      await publish(first, ".deb", { into: site.directory, signer, url: site.url });
      await endSigner();
      const server = await startRefserver({
        registrationTokens: [TOKEN],
        checkInIntervalS: 10,
        limits: { agent: 0, register: 0, public: 0 },
      });
      await using machine = await Machine.create(root!, null);
      try {
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
        const checkIn = () =>
          until("check-in", () =>
            Promise.resolve(
              server.state().requests.some(({ path }) => path.endsWith("/commands")) || undefined,
            ));
        await checkIn();

        await machine.powerOff();
        server.resetRequests();
        await machine.boot();
        await machine.run("cloud-init", "status", "--wait");
        await checkIn();
        assertEquals([server.state().agents.length, server.state().violations], [1, []]);
      } finally {
        await server.close();
      }
    },
  });
}
