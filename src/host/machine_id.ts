/** Stands in until the machine id is merged. */

import type { System } from "../system/system.ts";

export async function currentMachineId(
  { files }: Pick<System, "files">,
  _stateDirectory: string,
): Promise<string> {
  const text = await files.readText("read the machine id", "/etc/machine-id").catch(() =>
    undefined
  );
  return text?.trim() || "0".repeat(64);
}
