/**
 * Plugins of dnf 4's may keep updates from every command alike: no answer then differs from another, and
 * nothing tells. So dnf is asked once more without those that are not known to be harmless. Pure.
 */

/**
 * Plugins that keep no update back, by the name that they give themselves: those of dnf-plugins-core and
 * -extras, of subscriptions, of snapshots. `versionlock` does, and is lifted by itself. `kpatch` leaves
 * kernels out, and is not among them.
 */
const HARMLESS: ReadonlySet<string> = new Set(
  [
    "builddep changelog config-manager copr debug debug-dump debug-restore debuginfo-install download",
    "enabled-repos-upload etckeeper generate-completion-cache groups-manager leaves local modulesync",
    "needs-restarting offline-distrosync offline-upgrade package-upload playground",
    "post-transaction-actions pre-transaction-actions product-id release-notification repoclosure",
    "repodiff repograph repomanage reposync rpmconf search-disabled-repos show-leaves snapper",
    "spacewalk subscription-manager supportinfo system-upgrade torproxy tracer ulninfo uploadprofile",
    "versionlock",
  ].flatMap((names) => names.split(" ")),
);

/** Plugins looked at. */
const MOST_PLUGINS = 200;

/** Reads the line in which dnf 4, asked with `-v`, names its plugins; none where there is no such line. */
export function parseLoadedPlugins(lines: readonly string[]): string[] {
  const told = lines.map((line) => /^Loaded plugins: (.{1,8000})$/.exec(line)?.[1] ?? "")
    .find((names) => names !== "");
  const names = (told ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").slice(0, MOST_PLUGINS);
}

/** Those that may keep updates back. */
export function doubtfulPlugins(loaded: readonly string[]): string[] {
  return loaded.filter((name) => !HARMLESS.has(dashed(name)));
}

/**
 * Has dnf 4 load none but the harmless ones of those that it loads: some of them make repositories, or
 * get the keys to them. Dnf takes files' names here and not what plugins call themselves, so that
 * those to leave out cannot be named. What is named to be enabled is so whatever its file says, and
 * therefore is none but what is loaded anyway.
 */
export function withoutDoubtful(loaded: readonly string[]): string[] {
  const kept = loaded.map(dashed).filter((name) => HARMLESS.has(name) && name !== "versionlock");
  const enabled = kept.length > 0 ? [`--enableplugin=${kept.join(",")}`] : [];
  return ["--disableplugin=*", ...enabled];
}

/** Dnf itself takes either for the other. */
function dashed(name: string): string {
  return name.replaceAll("_", "-");
}
