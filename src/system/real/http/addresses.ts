/**
 * Connects to a host by any of its addresses. `Deno.connect` of 2.6.8 tries the first one alone, and that is
 * often one of IPv6 where the server listens on IPv4 only, or where no IPv6 leads out of this network. In the
 * manner of RFC 8305, but with one address at a time as long as they answer.
 */

import type { Clock } from "../../system.ts";
import { realClock } from "../clock.ts";
import { classifyFailure } from "./request.ts";

/** A host, by name or address, and a port. */
interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** What connecting uses of the system. */
interface Dialler<C extends { close(): void }> {
  /** By a name: to its first address at least. */
  connect(target: Target): Promise<C>;
  /** All addresses of a name, in the order in which they are to be tried. */
  lookup(hostname: string): Promise<readonly string[]>;
  readonly clock: Pick<Clock, "after">;
}

/** After so long without an answer the next address is tried besides. */
const NEXT_ADDRESS_MS = 2_000;

/** Addresses of one name that are tried; public names of one server have up to eight. */
const MOST_ADDRESSES = 8;

/** An address of IPv4, or one of IPv6, which has colons as no name has. */
const ADDRESS = /^[\d.]+$|:/;

const DENO: Dialler<Deno.TcpConn> = {
  connect: (target) => Deno.connect(target),
  lookup,
  clock: realClock,
};

/** All addresses of a name, by the system's own rules and in its own order (`getaddrinfo`). */
export async function lookup(hostname: string): Promise<readonly string[]> {
  // Loaded for a name whose first address does not answer, and for `doctor`.
  const [{ lookup }, { default: process }] = await Promise.all([
    import("node:dns/promises"),
    import("node:process"),
  ]);
  // Deno 2.6.8 looks names up with its own deprecated `punycode`, and would say so on stderr.
  Object.assign(process, { noDeprecation: true });
  const found = await lookup(hostname, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))];
}

/**
 * Connects by TCP. Throws what connecting to the first address throws, if no other one can be reached; but what
 * another one throws, if the first only shows that this host has no route to it: IPv6, as a rule.
 */
export function connectTcp(target: Target): Promise<Deno.TcpConn> {
  return connectAny(target, DENO);
}

/** As `connectTcp`, with any system. */
export async function connectAny<C extends { close(): void }>(
  target: Target,
  dialler: Dialler<C>,
): Promise<C> {
  const { hostname, port } = target;
  if (ADDRESS.test(hostname)) return await dialler.connect(target);
  return await connectOr(dialler, dialler.connect(target), async () => {
    const addresses = await dialler.lookup(hostname).catch(() => []);
    const others = addresses.slice(1, MOST_ADDRESSES);
    return await connectInTurn(others.map((hostname) => ({ hostname, port })), dialler);
  });
}

const NO_OTHER = new Error("no other address");

async function connectInTurn<C extends { close(): void }>(
  [target, ...others]: readonly Target[],
  dialler: Dialler<C>,
): Promise<C> {
  if (target === undefined) throw NO_OTHER;
  return await connectOr(
    dialler,
    dialler.connect(target),
    () => connectInTurn(others, dialler),
  );
}

/** The first connection to be made: `first`, or one to other addresses, which are tried if it fails or is slow. */
async function connectOr<C extends { close(): void }>(
  { clock }: Pick<Dialler<C>, "clock">,
  first: Promise<C>,
  connectOthers: () => Promise<C>,
): Promise<C> {
  const { promise: slow, resolve } = Promise.withResolvers<null>();
  const cancel = clock.after(NEXT_ADDRESS_MS, () => resolve(null));
  let inTime: C | null;
  try {
    inTime = await Promise.race([first, slow]);
  } catch (error) {
    if (isUnknownName(error)) throw error;
    return await connectOthers().catch((other) => {
      throw moreTelling(error, other);
    });
  } finally {
    cancel();
  }
  if (inTime !== null) return inTime;
  const others = connectOthers();
  try {
    const made = await Promise.any([first, others]);
    for (const attempt of [first, others]) {
      attempt.then((connection) => connection !== made && connection.close(), () => {});
    }
    return made;
  } catch (error) {
    if (error instanceof AggregateError) throw moreTelling(error.errors[0], error.errors[1]);
    throw error;
  }
}

/** Of the errors of two attempts, that of `first`; but this host is offline only where both say so. */
function moreTelling(first: unknown, other: unknown): unknown {
  const [reason] = classifyFailure(first);
  return reason === "offline" && other !== NO_OTHER ? other : first;
}

/** No name service has an address for it: to ask once more would double the questions of each attempt. */
function isUnknownName(error: unknown): boolean {
  return error instanceof Error &&
    /lookup address|no such host|os error 1100\d/i.test(error.message);
}
