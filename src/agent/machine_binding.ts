/**
 * The machine id that this host sends: to register, and with every later call.
 *
 * RedFlag 0.2 binds an agent to the id of its registration, so that a copied configuration is of no use
 * on another machine. So Pennon sends the id that the host has now, and not the one that it registered
 * with: a copied state directory is refused, as intended, and a host whose id has changed says so and is
 * bound again by an administrator. Only a host without an id of its own sends what is saved.
 */

import { MachineIdStore, readMachineId } from "../host/machine_id.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** The ids of this host. */
interface MachineBinding {
  /** For a new registration. */
  readonly ownId: string;
  /** For every other call. */
  readonly sentId: string;
}

/**
 * Reads the ids of a host, and draws one for a host that has none; `warn` is called with what is unusual
 * about them. Throws `FileError` where a drawn id cannot be saved, because it would be another one after
 * the next start.
 */
export async function loadMachineBinding(
  system: System,
  stateDirectory: string,
  warn: (why: string) => void,
): Promise<MachineBinding> {
  const store = new MachineIdStore(system, stateDirectory);
  const { current, registered } = await store.load((why) => {
    warn(`the saved machine id is unreadable: ${why}`);
  });
  if (current.source !== "own") return { ownId: current.id, sentId: current.id };
  warn("this host has no machine id of its own; it uses one that Pennon has drawn and saved");
  return { ownId: current.id, sentId: registered ?? current.id };
}

/**
 * The id for the calls of an agent that runs; as `loadMachineBinding`, but a disk that refuses is no
 * error: the id is then the one that the host has, whatever that is worth.
 */
export async function machineIdForCalls(
  system: System,
  stateDirectory: string,
  warn: (why: string) => void,
): Promise<string> {
  try {
    return (await loadMachineBinding(system, stateDirectory, warn)).sentId;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    warn(error.message);
    return (await readMachineId(system)).id;
  }
}

/**
 * The id for a call of a command that changes nothing here; `null` for a host whose id is still to be
 * drawn. Throws `FileError`.
 */
export async function peekMachineId(
  system: System,
  stateDirectory: string,
): Promise<string | null> {
  const choice = await new MachineIdStore(system, stateDirectory).peek();
  if (choice === null) return null;
  const { current, registered } = choice;
  return current.source === "own" ? registered ?? current.id : current.id;
}

/** Keeps the id that the server has of this host; `null`: none any more. Throws `FileError`. */
export async function saveRegisteredId(
  system: System,
  stateDirectory: string,
  id: string | null,
): Promise<void> {
  await new MachineIdStore(system, stateDirectory).saveRegistered(id);
}

/** Keeps the id that RedFlag's own agent sent from this host, for an agent that is taken over from it. */
export async function saveAdoptedId(system: System, stateDirectory: string): Promise<void> {
  await saveRegisteredId(system, stateDirectory, (await readMachineId(system)).id);
}
