/** The launch daemon of the agent on macOS, as a property list: launchd.plist(5). */

import { escapeXml } from "./xml.ts";

/** The label of the daemon, also the name of its file. */
export const LABEL = "io.pennon.agent";

/** Where the daemon's output goes; launchd makes the file as root. */
export const LAUNCHD_LOG = "/Library/Logs/Pennon/pennon.log";

/** Seconds between two starts; launchd's own least is 10. */
const THROTTLE_S = 30;

/** Seconds from SIGTERM to SIGKILL; the agent ends within 5. */
const EXIT_S = 15;

/**
 * The text of the property list. `program` is the absolute path of the executable.
 *
 * launchd knows no exit code for which it would not start the daemon again: an agent that is not
 * registered is started every half minute and ends again.
 */
export function launchdPlist({ program }: { readonly program: string }): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>${escapeXml(program)}</string>
    <string>run</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>${THROTTLE_S}</integer>
  <key>ExitTimeOut</key>
  <integer>${EXIT_S}</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>StandardErrorPath</key>
  <string>${LAUNCHD_LOG}</string>
</dict>
</plist>
`;
}
