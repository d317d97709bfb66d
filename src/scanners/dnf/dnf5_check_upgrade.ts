/** Reads dnf 5's own list of updates, and of what would be replaced, out of its JSON. */

import * as v from "valibot";
import type { CheckedUpdates, ListedRpm, ObsoletingRpm } from "./check_update.ts";
import { findJson } from "./dnf5_json.ts";
import { parseNameAndEvr } from "./rpm_packages.ts";

const namedPackage = v.object({ name: v.string(), arch: v.string(), evr: v.string() });

const listedPackage = v.object({
  ...namedPackage.entries,
  repository: v.pipe(v.string(), v.regex(/^[!-~]{1,255}$/)),
});

const obsoletingPackage = v.object({
  ...listedPackage.entries,
  obsoletes: v.array(namedPackage),
});

const answer = v.object({
  upgrades: v.optional(v.array(v.unknown()), []),
  obsoleting_packages: v.optional(v.array(v.unknown()), []),
});

/** Reads `check-upgrade --json` (5.4 and later); `undefined` if it is not that. */
export function parseDnf5CheckUpgrade(text: string): CheckedUpdates | undefined {
  const value = findJson(text);
  const result = v.safeParse(answer, value);
  if (!result.success || Array.isArray(value)) return undefined;
  const { upgrades: listed, obsoleting_packages: replacing } = result.output;
  const upgrades = listed.map(readListed).filter((package_) => package_ !== undefined);
  const obsoletes = replacing.map(readObsoleting).filter((package_) => package_ !== undefined);
  const unparsed = listed.length - upgrades.length + replacing.length - obsoletes.length;
  return { upgrades, obsoletes, unparsed };
}

function readListed(value: unknown): ListedRpm | undefined {
  const result = v.safeParse(listedPackage, value);
  if (!result.success) return undefined;
  const package_ = readNamed(result.output);
  return package_ && { package: package_, repository: result.output.repository };
}

function readObsoleting(value: unknown): ObsoletingRpm | undefined {
  const result = v.safeParse(obsoletingPackage, value);
  if (!result.success) return undefined;
  const { repository, obsoletes, ...named } = result.output;
  const replaces = obsoletes.map(readNamed).filter((package_) => package_ !== undefined);
  const package_ = readNamed(named);
  if (!package_ || replaces.length === 0) return undefined;
  return { package: package_, repository, replaces };
}

function readNamed({ name, arch, evr }: v.InferOutput<typeof namedPackage>) {
  return parseNameAndEvr(`${name}.${arch}`, evr);
}
