import { assertEquals } from "@std/assert";
import { confirmOffers, newestOffers } from "../../src/scanners/dnf_confirmed.ts";
import { type OfferedRpm, parseNevra, type RpmPackage } from "../../src/scanners/rpm_packages.ts";
import { formatEvr } from "../../src/scanners/rpm_version.ts";

function rpm(nevra: string): RpmPackage {
  const package_ = parseNevra(`${nevra}.noarch`);
  if (!package_) throw new Error(nevra);
  return package_;
}

function offer(text: string): OfferedRpm {
  const [nevra = "", repository = ""] = text.split(" ");
  return { ...rpm(nevra), repository, sizeBytes: 7, sourcePackage: "source", summary: "A tool" };
}

function tell(one: OfferedRpm): string {
  return `${one.name}-${formatEvr(one)} ${one.repository}`;
}

/** What is confirmed of `offers`, if dnf's own list has `rows`; both as "foo-1-1 repository". */
function confirm(
  offers: string[],
  rows: string[] | undefined,
  hasPriorities = false,
  unparsed = 0,
) {
  const upgrades = rows?.map((row) => {
    const [nevra = "", repository = ""] = row.split(" ");
    return { package: rpm(nevra), repository };
  });
  const checked = upgrades && { upgrades, unparsed };
  const { taken, passedOver, warnings } = confirmOffers(offers.map(offer), checked, hasPriorities);
  return { taken: taken.map(tell), passedOver: passedOver.map(tell), warnings };
}

Deno.test("confirmOffers() takes each package once, from where dnf would take it", () => {
  assertEquals(confirm([], []), { taken: [], passedOver: [], warnings: [] });
  assertEquals(
    confirm(["a-2-1 one", "a-2-1 two", "b-2-1 one"], ["b-2-1 one", "a-2-1 two", "a-2-1 one"]),
    { taken: ["a-2-1 two", "b-2-1 one"], passedOver: [], warnings: [] },
  );
  // An epoch of 0 goes unsaid in one of the lists.
  assertEquals(confirm(["a-0:2-1 one"], ["a-2-1 one"]).warnings, []);
});

Deno.test("confirmOffers() lets priorities explain what dnf passes over", () => {
  const offers = ["a-3-1 other", "b-2-1 other", "c-2-1 prefer"];
  const { taken, passedOver, warnings } = confirm(offers, ["a-2-1 prefer", "c-2-1 prefer"], true);
  assertEquals(taken, ["a-2-1 prefer", "c-2-1 prefer"]);
  assertEquals([passedOver, warnings], [["b-2-1 other"], []]);
});

Deno.test("confirmOffers() tells no size of a version that is not among the offers", () => {
  const upgrades = [{ package: rpm("a-2-1"), repository: "prefer" }];
  const [taken] = confirmOffers([offer("a-3-1 other")], { upgrades, unparsed: 0 }, true).taken;
  assertEquals(taken, { ...offer("a-2-1 prefer"), sizeBytes: null });
});

Deno.test("confirmOffers() warns where nothing explains a difference, and loses nothing", () => {
  const doubt = (names: string) => [
    `Two of dnf's answers do not fit together, on the updates of ${names}`,
  ];
  const offers = ["a-3-1 other", "b-2-1 other"];
  assertEquals(confirm(offers, ["a-2-1 prefer"]), {
    taken: ["a-2-1 prefer", "b-2-1 other"],
    passedOver: [],
    warnings: doubt("a.noarch, b.noarch"),
  });
  // A row that was not understood may be that of b.
  assertEquals(confirm(offers, ["a-3-1 other"], true, 1), {
    taken: offers,
    passedOver: [],
    warnings: doubt("b.noarch"),
  });
  // No priority brings an update that nobody offers.
  assertEquals(confirm([], ["a-2-1 prefer"], true), {
    taken: ["a-2-1 prefer"],
    passedOver: [],
    warnings: doubt("a.noarch"),
  });
  const many = [..."abcdefg"].map((name) => `${name}-1-1 r`);
  assertEquals(
    confirm(many, []).warnings,
    doubt("a.noarch, b.noarch, c.noarch, d.noarch, e.noarch and 2 more"),
  );
});

Deno.test("confirmOffers() takes all that is offered where dnf's own list is missing", () => {
  assertEquals(confirm(["a-2-1 one", "a-2-1 two", "a-3-1 three", "b-2-1 one"], undefined, true), {
    taken: ["a-3-1 three", "b-2-1 one"],
    passedOver: [],
    warnings: [],
  });
});

Deno.test("newestOffers() keeps the first of those that are alike", () => {
  const offers = ["a-2-1 one", "a-2-1 two", "a-1-1 three"].map(offer);
  assertEquals(newestOffers(offers).map(tell), ["a-2-1 one"]);
});

Deno.test("confirmOffers() tells of an update what its own repository tells, or else the first other", () => {
  const sized = (text: string, sizeBytes: number) => ({ ...offer(text), sizeBytes });
  const offers = [sized("a-2-1 one", 1), sized("a-2-1 two", 2), sized("a-2-1 three", 3)];
  const taken = (repository: string) => {
    const upgrades = [{ package: rpm("a-2-1"), repository }];
    return confirmOffers(offers, { upgrades, unparsed: 0 }, false).taken
      .map((one) => [one.repository, one.sizeBytes]);
  };
  assertEquals(taken("two"), [["two", 2]]);
  assertEquals(taken("another"), [["another", 1]]);
});
