/** The reference server's tables, with the constraints of RedFlag's own schema (`protocol.md`). */

/** PostgreSQL's INTEGER: what a Windows HRESULT, read as unsigned, does not fit into. */
const INT4 = "BETWEEN -2147483648 AND 2147483647";

const SEVERITIES = "('critical', 'important', 'moderate', 'low')";

const STATUSES = "('pending', 'approved', 'checking_dependencies', 'pending_dependencies', " +
  "'installing', 'updated', 'installed', 'failed', 'ignored')";

/** `received`, `cancelled` and the state of packages `installed` are of the age 0.2. */
const COMMAND_STATUSES =
  "('pending', 'sent', 'received', 'completed', 'failed', 'timed_out', 'cancelled')";

/**
 * A name is in two indexes, and PostgreSQL refuses an index entry of more than 2,704 bytes (a third of
 * a page; "index row size exceeds btree version 4 maximum 2704"): this leaves room for what is beside
 * it in the entry.
 */
const INDEXED_BYTES = 2_600;

/**
 * Made once, kept on restart. A value that a CHECK refuses fails its whole transaction, which is
 * what costs a naive client its batch.
 */
export const SCHEMA = `
PRAGMA foreign_keys = ON;

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS agents (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  hostname TEXT NOT NULL CHECK (length(hostname) <= 255),
  os_type TEXT NOT NULL CHECK (os_type IN ('windows', 'linux', 'macos')),
  os_version TEXT NOT NULL CHECK (length(os_version) <= 100),
  os_architecture TEXT NOT NULL CHECK (length(os_architecture) <= 20),
  agent_version TEXT NOT NULL CHECK (length(agent_version) <= 20),
  current_version TEXT NOT NULL,
  metadata TEXT NOT NULL,
  rapid_until TEXT,
  last_check_in TEXT,
  check_ins INTEGER NOT NULL DEFAULT 0,
  registered_at_ms INTEGER NOT NULL,
  last_seen_at_ms INTEGER NOT NULL
) STRICT;

-- They go with their agent, so that its renewal is answered as that of a dead token is.
CREATE TABLE IF NOT EXISTS refresh_tokens (
  token_hash TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS agent_commands (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  type TEXT NOT NULL CHECK (length(type) <= 50),
  params TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ${COMMAND_STATUSES}),
  created_at_ms INTEGER NOT NULL,
  sent_at_ms INTEGER,
  completed_at_ms INTEGER,
  result TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS commands_by_agent ON agent_commands(agent_id, status);

CREATE TABLE IF NOT EXISTS update_events (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  command_id TEXT NOT NULL,
  package_type TEXT NOT NULL CHECK (length(package_type) <= 50),
  package_name TEXT NOT NULL CHECK (length(CAST(package_name AS BLOB)) <= ${INDEXED_BYTES}),
  package_description TEXT NOT NULL,
  current_version TEXT NOT NULL,
  available_version TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ${SEVERITIES}),
  cve_list TEXT NOT NULL,
  kb_id TEXT NOT NULL,
  repository_source TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS packages (
  id TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  package_type TEXT NOT NULL,
  package_name TEXT NOT NULL,
  current_version TEXT NOT NULL,
  available_version TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ${SEVERITIES}),
  repository_source TEXT NOT NULL,
  metadata TEXT,
  last_discovered_at TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ${STATUSES}),
  UNIQUE (agent_id, package_type, package_name)
) STRICT;

CREATE TABLE IF NOT EXISTS update_logs (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  command_id TEXT NOT NULL,
  action TEXT NOT NULL CHECK (length(action) <= 50),
  result TEXT NOT NULL,
  stdout TEXT NOT NULL,
  stderr TEXT NOT NULL,
  exit_code INTEGER NOT NULL CHECK (exit_code ${INT4}),
  duration_seconds INTEGER NOT NULL CHECK (duration_seconds ${INT4}),
  received_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS dependency_reports (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  package_type TEXT NOT NULL,
  package_name TEXT NOT NULL,
  update_id TEXT NOT NULL,
  dependencies TEXT NOT NULL,
  dry_run_result TEXT,
  received_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS system_info (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  body TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT;
`;

/** The results that a log may have, in place of those of another age: one file serves both. */
export function resultsCheck(results: readonly string[]): string {
  const words = results.map((result) => `'${result}'`).join(", ");
  return `
DROP TRIGGER IF EXISTS log_results;
CREATE TRIGGER log_results BEFORE INSERT ON update_logs WHEN NEW.result NOT IN (${words})
BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: result'); END;
`;
}
