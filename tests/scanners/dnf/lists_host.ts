/** A host on which dnf fetches package lists. */

import { DnfHost, type HostRepository, questionOf } from "./host.ts";

/** A host whose lists are those of `repositories`, and after fetching those of `fetched`. */
export function hostWith(
  user: "root" | "user",
  repositories: readonly HostRepository[],
  fetched: readonly HostRepository[] = repositories,
  generation: 4 | 5 = 4,
): DnfHost {
  const host = new DnfHost(generation);
  host.repositories = repositories;
  if (user === "root") host.becomeRoot();
  const run = host.runCommand;
  let isFetched = false;
  host.runCommand = async (argv, options) => {
    const question = questionOf(argv);
    const answer = await run(argv, options);
    if (question === "fetched") isFetched = true;
    const isPrivate = argv.some((word) => /^--setopt=(?:system_)?cachedir=\/state\b/.test(word));
    // The agent has no private lists before it fetches them.
    const current = isFetched && (user !== "root" || isPrivate || !host.usedPrivateLists)
      ? fetched
      : null;
    if (question === "repositories" && current) return host.answerRepositories(current);
    return answer;
  };
  return host;
}

/** The commands that fetched package lists. */
export function fetches(host: DnfHost): string[][] {
  return host.asked.filter((argv) => questionOf(argv) === "fetched");
}
