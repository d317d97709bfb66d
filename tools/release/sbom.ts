/** The bill of materials of the executable, as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/). Pure. */

import { isoTime, type ReleaseFacts } from "./release_facts.ts";
import type { Dependency } from "./dependencies.ts";

/**
 * The text of the document. It has the npm packages in the bundle, with the SHA-512 that the lock file
 * pins, and the Deno runtime as one component; what that runtime is made of is not taken apart. The
 * same inputs give the same text.
 */
export function sbom(
  facts: ReleaseFacts,
  dependencies: readonly Dependency[],
  denoVersion: string,
): string {
  const self = `pkg:generic/pennon@${facts.version}`;
  const deno = `pkg:github/denoland/deno@v${denoVersion}`;
  const direct = new Set(dependencies.map(purlOf));
  for (const dependency of dependencies) {
    for (const need of dependency.needs) direct.delete(purlOfKey(need));
  }
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: isoTime(facts),
      component: {
        "bom-ref": self,
        type: "application",
        name: "pennon",
        version: facts.version,
        licenses: [{ license: { id: "MIT" } }],
        purl: self,
        properties: [{ name: "pennon:commit", value: facts.commit }],
      },
    },
    components: [
      {
        "bom-ref": deno,
        type: "platform",
        name: "deno",
        version: denoVersion,
        licenses: [{ license: { id: "MIT" } }],
        purl: deno,
      },
      ...dependencies.map((dependency) => ({
        "bom-ref": purlOf(dependency),
        type: "library",
        name: dependency.name,
        version: dependency.version,
        hashes: [{ alg: "SHA-512", content: hexOf(dependency.integrity) }],
        purl: purlOf(dependency),
      })),
    ],
    dependencies: [
      { ref: self, dependsOn: [deno, ...direct] },
      ...dependencies.map((dependency) => ({
        ref: purlOf(dependency),
        dependsOn: dependency.needs.map(purlOfKey),
      })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function purlOf({ name, version }: Dependency): string {
  return purlOfKey(`${name}@${version}`);
}

/** https://github.com/package-url/purl-spec: the `@` of a scope is percent-encoded. */
function purlOfKey(key: string): string {
  return `pkg:npm/${key.replace(/^@/, "%40")}`;
}

function hexOf(integrity: string): string {
  const bytes = Uint8Array.fromBase64(integrity.replace(/^sha512-/, ""));
  return bytes.toHex();
}
