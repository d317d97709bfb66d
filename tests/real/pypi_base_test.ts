import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BuildError } from "../../tools/build/build_error.ts";
import { sha256Of } from "../../tools/build/digest.ts";
import { fetchPypiBase, PYPI_BASES, type PypiBase } from "../../tools/build/pypi_base.ts";
import { SHIPPED_DENO, shippedDeno } from "../../tools/build/shipped_deno.ts";
import { TARGETS } from "../../tools/build/targets.ts";

/** The programs here are shell scripts. */
const ignore = Deno.build.os === "windows";

/** Stands for an ELF file with a program behind it; the wheel here is its only file, not packed. */
const PRODUCT = "base+program";
const BASE = "base";

/**
 * A Python whose pip copies `wheel` and appends a line to `calls`, and whose `zipfile` takes the wheel
 * for the product.
 */
const PYTHON = `#!/bin/sh
case "$*" in
  "-m pip --version") echo "pip 0" ;;
  "-m pip download "*) echo "$*" >> calls
    [ -f wheel ] || { echo "ERROR: no such index" >&2; exit 1; }
    while [ "$1" != "--dest" ]; do shift; done
    cp wheel "$2/a.whl" ;;
  "-m zipfile -e "*) folder="$5/bids_validator_deno-2.4.0.data/scripts"
    mkdir -p "$folder" && cp "$4" "$folder/product" ;;
  *) exit 1 ;;
esac
`;

/** Runs `work` in an empty folder, where only `programs` and the system's are on the path. */
async function inBuildFolder(
  programs: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const [path = "", before] = [Deno.env.get("PATH"), Deno.cwd()];
  try {
    Deno.chdir(folder);
    await Deno.mkdir("bin");
    for (const name of ["cp", "mkdir"]) await Deno.symlink(`/bin/${name}`, `bin/${name}`);
    for (const [name, text] of Object.entries(programs)) {
      await Deno.writeTextFile(`bin/${name}`, text, { mode: 0o755 });
    }
    Deno.env.set("PATH", `${folder}/bin`);
    await work();
  } finally {
    Deno.env.set("PATH", path);
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** A row of the table for the product above. */
async function row(changes: Partial<PypiBase> = {}): Promise<PypiBase> {
  await Deno.writeTextFile("wheel", PRODUCT);
  await Deno.writeTextFile("expected", BASE);
  return {
    platform: "some_platform",
    wheelSha256: await sha256Of("wheel"),
    sha256: await sha256Of("expected"),
    product: "product",
    extract: (product) => product.subarray(0, BASE.length),
    ...changes,
  };
}

async function refusal(base: PypiBase): Promise<string> {
  return (await assertRejects(() => fetchPypiBase(base, () => {}), BuildError)).message;
}

function downloads(): number {
  return Deno.readTextFileSync("calls").trim().split("\n").length;
}

function filesLeft(): string[] {
  return [...Deno.readDirSync(".cache/denort")].map(({ name }) => name).sort();
}

Deno.test(
  "fetchPypiBase() extracts the base, and fetches its wheel once",
  { ignore },
  () =>
    inBuildFolder({ python3: PYTHON }, async () => {
      const base = await row();
      for (let round = 0; round < 2; round++) {
        const { path, origin } = await fetchPypiBase(base, () => {});
        assertEquals(await Deno.readTextFile(path), BASE);
        assertEquals((await Deno.stat(path)).mode! & 0o777, 0o755);
        assertStringIncludes(origin, `some_platform, SHA-256 ${base.sha256}`);
        assertEquals(filesLeft(), [`denort-${SHIPPED_DENO}-some_platform`, "some_platform.whl"]);
      }
      assertEquals(downloads(), 1);
      assertStringIncludes(
        Deno.readTextFileSync("calls"),
        "--only-binary :all: --platform some_pla",
      );
    }),
);

Deno.test(
  "fetchPypiBase() fetches a wheel that is damaged anew",
  { ignore },
  () =>
    inBuildFolder({ python3: PYTHON }, async () => {
      const base = await row();
      await fetchPypiBase(base, () => {});
      await Deno.writeTextFile(".cache/denort/some_platform.whl", "damaged");
      const { path } = await fetchPypiBase(base, () => {});
      assertEquals([await Deno.readTextFile(path), downloads()], [BASE, 2]);
    }),
);

Deno.test(
  "fetchPypiBase() extracts a base that is damaged anew",
  { ignore },
  () =>
    inBuildFolder({ python3: PYTHON }, async () => {
      const base = await row();
      const { path } = await fetchPypiBase(base, () => {});
      await Deno.writeTextFile(path, "damaged, and longer than the base was");
      await fetchPypiBase(base, () => {});
      assertEquals([await Deno.readTextFile(path), downloads()], [BASE, 1]);
    }),
);

Deno.test(
  "fetchPypiBase() refuses a wheel or a base with another SHA-256",
  { ignore },
  () =>
    inBuildFolder({ python3: PYTHON }, async () => {
      const other = "0".repeat(64);
      const { wheelSha256, sha256 } = await row();
      assertStringIncludes(
        await refusal(await row({ wheelSha256: other })),
        `its SHA-256 is "${wheelSha256}" instead of "${other}"`,
      );
      assertEquals(filesLeft(), []);
      assertStringIncludes(
        await refusal(await row({ sha256: other })),
        `its SHA-256 is "${sha256}" instead of "${other}"`,
      );
      assertEquals(filesLeft(), ["some_platform.whl"]);
    }),
);

Deno.test(
  "fetchPypiBase() passes on what pip says, and what to do",
  { ignore },
  () =>
    inBuildFolder({ python3: PYTHON }, async () => {
      const base = await row();
      await Deno.remove("wheel");
      const message = await refusal(base);
      assertStringIncludes(
        message,
        'Cannot fetch "bids-validator-deno==2.4.0" with pip: ERROR: no such',
      );
      assertStringIncludes(message, "\nNext: let pip reach PyPI");
      assertEquals(filesLeft(), []);
    }),
);

Deno.test("fetchPypiBase() says that Python or its pip is missing", { ignore }, async () => {
  const withoutPip = '#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n';
  for (const programs of [{}, { python3: withoutPip }]) {
    await inBuildFolder(programs, async () => {
      const message = await refusal(await row());
      assertStringIncludes(message, "this host has no Python with pip");
      assertStringIncludes(
        message,
        "\nNext: install both (Debian: apt-get install python3 python3-pip)",
      );
      if ("python3" in programs) assertStringIncludes(message, "No module named pip");
    });
  }
  await inBuildFolder({ python3: withoutPip, python: PYTHON }, async () => {
    const { path } = await fetchPypiBase(await row(), () => {});
    assertEquals(await Deno.readTextFile(path), BASE);
  });
});

Deno.test("each base on PyPI is for a target, and no two are the same", () => {
  const triples = TARGETS.map(({ triple }) => triple);
  assert([...PYPI_BASES.keys()].every((triple) => triples.includes(triple)));
  const digests = [...PYPI_BASES.values()].flatMap((base) => [base.wheelSha256, base.sha256]);
  assert(digests.every((digest) => /^[0-9a-f]{64}$/.test(digest)));
  assertEquals(new Set(digests).size, digests.length);
});

Deno.test("shippedDeno() is this Deno, if it is the one that is shipped", {
  ignore: Deno.version.deno !== SHIPPED_DENO,
}, async () => {
  assertEquals(await shippedDeno(), [Deno.execPath()]);
});

Deno.test("shippedDeno() is npx's, and nothing but the version that is shipped", {
  ignore: ignore || Deno.version.deno === SHIPPED_DENO,
}, async () => {
  const npx = (version: string) => `#!/bin/sh\necho "deno ${version} (stable, release)"\n`;
  await inBuildFolder({ npx: npx(SHIPPED_DENO) }, async () => {
    assertEquals(await shippedDeno(), ["npx", "-y", `deno@${SHIPPED_DENO}`]);
  });
  for (const programs of [{}, { npx: npx(`${SHIPPED_DENO}9`) }]) {
    await inBuildFolder(programs, async () => {
      const { message } = await assertRejects(shippedDeno, BuildError);
      assertStringIncludes(message, `Cannot run Deno ${SHIPPED_DENO} with npx`);
      assertStringIncludes(message, "\nNext: install Node.js with npm, or run the build with Deno");
    });
  }
});
