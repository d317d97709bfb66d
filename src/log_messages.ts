/**
 * Every message of the log, with its code. A code never changes its meaning and is never used again, so
 * scripts and alerts go by codes; the words may change. docs/log.md explains each.
 */

/** The messages by their codes, in the order of docs/log.md. */
export const LOG_MESSAGES = {
  // The process.
  "agent.started": "agent started",
  "agent.stopping": "stopping",
  "agent.stopped": "agent stopped",
  "agent.stop_overdue": "not stopped in time, ending",
  "agent.blocked": "event loop blocked, ending to be started again",
  "agent.crashed": "program crashed",
  "agent.step_failed": "step failed",
  "agent.host_back": "host is back",
  "agent.not_locked": "state directory not locked: a second agent could start",
  "agent.lock_failed": "cannot lock the state directory",
  "agent.machine_id_shared": "machine id is not the host's own",
  "agent.file_unsafe": "file is not safe",
  "agent.service_manager_not_reached": "service manager not reached",
  "agent.event_log_not_written": "event log not written",
  // The connection.
  "connection.not_reached": "server not reached",
  "connection.not_secure": "no secure connection to the server",
  "connection.no_answer": "server did not answer in time",
  "connection.server_error": "server answered with an error",
  "connection.answer_unusable": "server's answer is not usable",
  "connection.call_refused": "server refused this agent's call",
  "connection.request_refused": "server refused a request",
  "connection.report_failed": "server failed on a report",
  "connection.slow_down": "server asked to slow down",
  "connection.tokens_refused": "server refused the tokens, trying again",
  "connection.recovered": "connection recovered",
  "connection.breaker_opened": "connection breaker opened",
  "connection.breaker_half_open": "connection breaker half-open",
  "connection.breaker_closed": "connection breaker closed",
  "connection.operator_required": "operator action required",
  "connection.accepted_again": "server accepts this agent again",
  // The check-in.
  "check_in.done": "checked in",
  "check_in.failed": "check-in failed",
  "check_in.not_sent": "check-in not sent",
  "check_in.part_ignored": "part of an answer ignored",
  "check_in.results_confirmed": "results confirmed by the server",
  "check_in.host_facts_appended": "host facts appended",
  "check_in.rapid_on": "rapid polling on",
  "check_in.rapid_off": "rapid polling off",
  "check_in.policy_not_read": "server's policy not read",
  "check_in.policy_changed": "server's policy changed",
  "check_in.policy_not_saved": "server's policy not saved",
  // Tokens.
  "token.renewed": "access token renewed",
  "token.renewal_postponed": "early renewal postponed",
  "token.renewal_refused": "early renewal refused",
  "token.not_read": "cannot read the tokens",
  "token.not_saved": "cannot save the access token",
  "token.foreign_directory": "tokens not saved: the directory belongs to another agent",
  // Commands.
  "command.started": "command started",
  "command.finished": "command finished",
  "command.not_run": "command not run",
  "command.interrupted": "command was interrupted",
  "command.corrupt": "command is corrupt on disk",
  "command.rejected": "commands rejected",
  "command.not_reported": "commands not reported: too many of them do not run",
  "command.left": "command left for the next start",
  "command.waits_for_disk": "command waits for the disk",
  "command.intake_waits": "commands wait for the disk",
  "command.intake_in_memory": "commands stay in memory until the exit",
  "command.not_stored": "command cannot be stored",
  "command.not_stored_lost": "command lost: it cannot be stored",
  "command.disk_lost": "commands lost: the disk accepted no writes",
  "command.ended_by_server": "server ended a command without its result",
  "command.refused": "command refused",
  "command.more_refused": "further commands refused",
  "command.not_judged": "commands not judged: the server's keys are not known",
  "command.put_off": "commands put off: the server's keys are not known",
  "command.put_off_lost": "commands lost: too many wait for a key",
  // The server's signing keys.
  "key.pinned": "server key pinned",
  "key.announced": "server key accepted: a trusted one announces it",
  "key.retired": "server key retired",
  "key.changed": "server shows an unknown key: commands are refused",
  "key.trusted_again": "server shows a trusted key again",
  "key.lost": "server keys lost: commands are refused",
  "key.not_looked_up": "server keys not looked up",
  "key.not_used": "server keys not used",
  "key.file_not_used": "key file not used",
  "key.not_read": "server keys cannot be read: no command is run",
  "key.not_saved": "server keys not saved",
  "key.saved_again": "server keys saved again",
  // Delivery.
  "delivery.delivered": "events delivered",
  "delivery.event_bisected": "event bisected",
  "delivery.event_refused": "event refused",
  "delivery.event_dead_lettered": "event dead-lettered",
  "delivery.reports_paused": "server fails on reports; pausing reports",
  // The event buffer and the disk.
  "buffer.evicted": "events evicted, the buffer is full",
  "buffer.disk_refuses": "disk refuses writes, buffering events in memory",
  "buffer.disk_accepts": "disk accepts writes again",
  "buffer.retry_failed": "disk retry failed",
  "buffer.events_lost": "events lost, the disk accepted no writes",
  "buffer.missing": "buffer file missing in the state directory, merged into a new one",
  "buffer.salvaged": "buffer was damaged, salvaged into a new file",
  "buffer.recounted": "buffer counters were wrong, recounted",
  "buffer.agent_events_lost": "cannot append events of the agent",
  // State files.
  "state.unreadable": "state file unreadable; starting with defaults",
  "state.not_read": "cannot read saved state; starting with defaults",
  "state.not_saved": "not saved",
  "state.saved_again": "saved again",
  // Scans.
  "scan.done": "scan done",
  "scan.incomplete": "scan done, with gaps",
  "scan.failed": "scan failed",
  "scan.breaker_opened": "scanner breaker opened",
  "scan.breaker_half_open": "scanner breaker half-open",
  "scan.breaker_closed": "scanner breaker closed",
  "scan.last_not_read": "cannot read the last scans",
  "scan.last_not_saved": "cannot save the last scans",
  "scan.snapshot_not_saved": "cannot save the reported snapshot",
  // Requests of an operator.
  "operator.breaker_reset": "breaker reset by an operator",
  "operator.request_failed": "reset request failed",
  // Metrics and events for monitoring.
  "metrics.not_written": "metrics not written",
  "metrics.written_again": "metrics written again",
  "telemetry.not_delivered": "telemetry not delivered",
  "telemetry.delivered_again": "telemetry delivered again",
  "telemetry.part_rejected": "collector rejected a part",
  "telemetry.ended": "telemetry ended",
  // Programs of the administrator.
  "hook.started": "hook started",
  "hook.finished": "hook finished",
  "hook.failed": "hook failed",
  "hook.not_started": "hook not started",
} as const;

/** A message of the log: the compiler accepts no other. */
export type LogMessage = typeof LOG_MESSAGES[keyof typeof LOG_MESSAGES];

const CODES: ReadonlyMap<string, string> = new Map(
  Object.entries(LOG_MESSAGES).map(([code, message]) => [message, code]),
);

/** The code of a message; `undefined` for one that is not Pennon's. */
export function codeOf(message: string): string | undefined {
  return CODES.get(message);
}
