/** What kind of update one is, by the ids of its categories: their names are in the host's language. */

/** Kinds of updates, in words of our own. */
export type WinupdateClass =
  | "definitions"
  | "drivers"
  | "upgrades"
  | "security"
  | "critical"
  | "rollups"
  | "service-packs"
  | "feature-packs"
  | "tools"
  | "updates"
  | "other";

/**
 * By what decides first. Definitions (of malware) come several times a day and are never done;
 * upgrades are whole new versions of Windows: neither says anything of how well a host is patched.
 *
 * The ids are the same on every Windows and every WSUS server. That of "updates" is often told wrong:
 * this one is what hosts answer (public threads ansible/ansible 50003 and 79885).
 */
const CLASSES: readonly [WinupdateClass, string][] = [
  ["definitions", "e0789628-ce08-4437-be74-2495b842f43b"],
  ["drivers", "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"],
  ["upgrades", "3689bdc8-b205-4af4-8d4a-a63924c5e9d5"],
  ["security", "0fa1201d-4330-4fa8-8ae9-b877473b6441"],
  ["critical", "e6cf1350-c01b-414d-a61f-263d14d133b4"],
  ["rollups", "28bc880e-0592-4cbf-8f95-c79b17911d5f"],
  ["service-packs", "68c5b0a3-d1a6-4553-ae49-01d3a7827828"],
  ["feature-packs", "b54e7d24-7add-428f-8b75-90a396fa584f"],
  ["tools", "b4832bd8-e735-4761-8daf-37f882276dab"],
  ["updates", "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83"],
];

/** Whether one of these categories is that of security updates. */
export function isSecurityCategory(categoryIds: readonly string[]): boolean {
  return categoryIds.some((id) =>
    CLASSES.some(([kind, known]) => kind === "security" && known === id.toLowerCase())
  );
}

/** `UpdateType` of wuapi.h. */
const TYPE_DRIVER = 2;

/** The kind of an update in these categories; `type` is the agent's own distinction. */
export function classOf(categoryIds: readonly string[], type: number | null): WinupdateClass {
  if (type === TYPE_DRIVER) return "drivers";
  const ids = new Set(categoryIds.map((id) => id.toLowerCase()));
  return CLASSES.find(([, id]) => ids.has(id))?.[0] ?? "other";
}
