/** Chooses the service manager of this host. */

import type { System } from "../system/system.ts";
import { LaunchdService } from "./launchd_service.ts";
import type { Service } from "./manager.ts";
import { SystemdService } from "./systemd_service.ts";
import { TaskService } from "./task_service.ts";

/** The service of this host. `stateDirectory` is that of the service, not of the user who asks. */
export function hostService(system: System, stateDirectory: string): Service {
  switch (system.os) {
    case "linux":
      return new SystemdService(system);
    case "windows":
      return new TaskService(system, stateDirectory);
    case "macos":
      return new LaunchdService(system, stateDirectory);
  }
}
