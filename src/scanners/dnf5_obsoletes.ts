/** Reads which packages would be replaced by others of another name, out of dnf 5's JSON. */

import * as v from "valibot";
import type { ObsoletingRpm } from "./dnf_obsoletes.ts";
import { findJson } from "./dnf5_json.ts";
import { type PackageList, parseNameAndEvr } from "./rpm_packages.ts";

const listedPackage = v.object({ name: v.string(), arch: v.string(), evr: v.string() });

const obsoletingPackage = v.object({
  ...listedPackage.entries,
  repository: v.pipe(v.string(), v.regex(/^[!-~]{1,255}$/)),
  obsoletes: v.array(listedPackage),
});

const answer = v.object({
  upgrades: v.optional(v.array(v.unknown())),
  obsoleting_packages: v.optional(v.array(v.unknown()), []),
});

/** Reads `check-upgrade --json` (5.4 and later); `undefined` if it is not that. */
export function parseDnf5Obsoletes(text: string): PackageList<ObsoletingRpm> | undefined {
  const value = findJson(text);
  const result = v.safeParse(answer, value);
  if (!result.success || Array.isArray(value)) return undefined;
  const all = result.output.obsoleting_packages;
  const packages = all.map(readPackage).filter((package_) => package_ !== undefined);
  return { packages, unparsed: all.length - packages.length };
}

function readPackage(value: unknown): ObsoletingRpm | undefined {
  const result = v.safeParse(obsoletingPackage, value);
  if (!result.success) return undefined;
  const { repository, obsoletes, ...named } = result.output;
  const replaces = obsoletes.map(readNamed).filter((package_) => package_ !== undefined);
  const package_ = readNamed(named);
  if (!package_ || replaces.length === 0) return undefined;
  return { package: package_, repository, replaces };
}

function readNamed({ name, arch, evr }: v.InferOutput<typeof listedPackage>) {
  return parseNameAndEvr(`${name}.${arch}`, evr);
}
