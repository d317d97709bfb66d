/**
 * The scheduled task of the agent on Windows, as the XML of Task Scheduler 1.2 and later (Windows 7):
 * https://learn.microsoft.com/en-us/windows/win32/taskschd/task-scheduler-schema.
 */

import { escapeXml } from "./xml.ts";

/** The task's name in the root folder of Task Scheduler. */
export const TASK = "\\Pennon";

/** The log in the state directory: a task has no journal, and its stderr is lost. */
export const LOG_FILE = "pennon.log";

/** The local system account, which has the same SID on every host. */
const SYSTEM_SID = "S-1-5-18";

/** The task starts again this long after a failure; a shorter interval is refused. */
const RESTART_INTERVAL = "PT1M";

/** The most restarts that Task Scheduler accepts: 999 failures in a row take 16 hours. */
const RESTARTS = 999;

/**
 * The XML of the task, to be written as UTF-16, which its first line names. `program` is the absolute
 * path of the executable.
 *
 * The elements stand in the order of the schema's sequences, which Task Scheduler checks.
 */
export function taskXml({ program }: { readonly program: string }): string {
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>Pennon</Author>
    <Description>Reports the available updates of this host to its server.</Description>
    <URI>${TASK}</URI>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>${SYSTEM_SID}</UserId>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure>
      <Interval>${RESTART_INTERVAL}</Interval>
      <Count>${RESTARTS}</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>run --log-file ${LOG_FILE} --event-log</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}
