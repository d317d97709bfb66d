/** What a person can do about a server that would not enrol this host. Pure. */

import type { Answer } from "../server/answer.ts";
import type { HttpErrorReason } from "../system/http.ts";

const BY_REASON: Readonly<Record<HttpErrorReason, string | undefined>> = {
  offline: "see that this host has a network and a name service, and try again",
  dns: "see that the server's address is spelt right, and known to this host's name service",
  refused: "see that the server runs, and that the address names its port",
  tls:
    "see that the server speaks https, by the name in its certificate; an authority of your own " +
    "goes into tls.ca_file",
  timeout: "see that no firewall is between, and that the address names the right port",
  cut_off: "see that the address begins with what the server speaks, http:// or https://",
  malformed: "see that the address is a RedFlag server's",
  too_large: "see that the address is a RedFlag server's",
  proxy: "see to proxy.http and proxy.https, or except the server by proxy.except_for",
  aborted: undefined,
};

/** The advice where a server answers that has not been set up yet. */
export const SETUP_ADVICE =
  "finish the server's setup in a browser, take a registration token from its dashboard, and try again";

/**
 * The advice for an answer that was no success; `undefined` where there is none to give. RedFlag
 * 0.1.18 answers 401 "invalid or expired registration token" to any error of its database too.
 */
export function adviceOn(answer: Answer<unknown>): string | undefined {
  switch (answer.kind) {
    case "unauthorized":
      return "take a registration token from the server's dashboard that has not run out; where the " +
        "token is good, see whether the server's database is up: RedFlag answers the same while it is not";
    case "limited":
      return "try again in a minute";
    case "refused":
      return answer.status === 404 ? "see that the address is a RedFlag server's" : undefined;
    case "failed":
      return answer.reason === undefined ? byStatus(answer.status) : BY_REASON[answer.reason];
    default:
      return undefined;
  }
}

function byStatus(status: number | null): string {
  const isServers = status !== null && status >= 500;
  return isServers
    ? "see the server's own log, and try again"
    : "see that the address is a RedFlag server's, and names no other path";
}
