import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  doubtfulPlugins,
  parseLoadedPlugins,
  withoutDoubtful,
} from "../../../src/scanners/dnf/plugins.ts";

const USUAL = [
  "builddep, changelog, config-manager, copr, debug, debuginfo-install, download,",
  "generate_completion_cache, groups-manager, leaves, local, modulesync, needs-restarting, playground,",
  "post-transaction-actions, product-id, repoclosure, repodiff, repograph, repomanage, reposync,",
  "show-leaves, subscription-manager, uploadprofile, versionlock",
].join(" ");

Deno.test("parseLoadedPlugins() reads the line of a real dnf 4.14, and needs none", () => {
  const plugins = parseLoadedPlugins(["DNF version: 4.14.0", `Loaded plugins: ${USUAL}`, "x"]);
  assertEquals([plugins.length, plugins[0], plugins.at(-1)], [25, "builddep", "versionlock"]);
  assertEquals(parseLoadedPlugins(["cachedir: /var/cache/dnf", "Repo-id : a"]), []);
  assertEquals(parseLoadedPlugins(["Loaded plugins: a, ,b,", "Loaded plugins: c"]), ["a", "b"]);
});

Deno.test("doubtfulPlugins() are those that are not known to be harmless, dash or underscore", () => {
  const told = (line: string) => doubtfulPlugins(parseLoadedPlugins([`Loaded plugins: ${line}`]));
  assertEquals(told(USUAL), []);
  assertEquals(told(`${USUAL}, filter, kpatch, config_manager`), ["filter", "kpatch"]);
});

Deno.test("withoutDoubtful() keeps what is loaded and harmless, and names nothing else to dnf", () => {
  assertEquals(withoutDoubtful(["filter"]), ["--disableplugin=*"]);
  assertEquals(withoutDoubtful(["filter", "versionlock", "product-id", "copr"]), [
    "--disableplugin=*",
    "--enableplugin=product-id,copr",
  ]);
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom("copr", "*", "-c", "filter", "groups_manager"),
  );
  fc.assert(fc.property(fc.array(name, { maxLength: 6 }), (loaded) => {
    const enabled = withoutDoubtful(loaded)[1]?.split("=")[1]?.split(",") ?? [];
    assertEquals(
      enabled.every((one) => loaded.some((is) => is.replaceAll("_", "-") === one)),
      true,
    );
    assertEquals(doubtfulPlugins(enabled), []);
  }));
});
