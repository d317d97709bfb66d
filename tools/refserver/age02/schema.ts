/** The tables that only a server of 0.2 has, and what becomes of a 0.1 server's file when it is upgraded. */

/** The results that `update_logs` takes; the handler maps every other word first. */
export const RESULTS_02 = ["success", "failed", "partial", "started", "running"];

const DEVICE_TYPES = "('server', 'desktop', 'laptop', 'phone', 'tablet', 'vm', 'container')";

/** Made once, kept on restart. */
export const SCHEMA_02 = `
CREATE TABLE IF NOT EXISTS agent_bindings (
  agent_id TEXT PRIMARY KEY REFERENCES agents(id) ON DELETE CASCADE,
  machine_id TEXT UNIQUE CHECK (length(machine_id) <= 64),
  public_key_fingerprint TEXT CHECK (length(public_key_fingerprint) <= 16),
  device_type TEXT NOT NULL DEFAULT 'server' CHECK (device_type IN ${DEVICE_TYPES}),
  device_model TEXT CHECK (length(device_model) <= 255),
  os_distro TEXT CHECK (length(os_distro) <= 50),
  available_scanners TEXT,
  updating_to TEXT,
  updating_since_ms INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS rotating_tokens (
  token_hash TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  family_id TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  superseded_by TEXT,
  consumed_at_ms INTEGER,
  revoked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS command_deliveries (
  command_id TEXT PRIMARY KEY REFERENCES agent_commands(id) ON DELETE CASCADE,
  source TEXT NOT NULL CHECK (source IN ('manual', 'system')),
  signature TEXT,
  key_id TEXT,
  signed_at_ms INTEGER,
  told_agent_id TEXT,
  expires_at_ms INTEGER NOT NULL,
  retry_count INTEGER NOT NULL DEFAULT 0,
  received_at_ms INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS signing_keys (
  key_id TEXT PRIMARY KEY,
  seed TEXT NOT NULL,
  public_key TEXT NOT NULL,
  is_primary INTEGER NOT NULL,
  is_active INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS agent_subsystems (
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  subsystem TEXT NOT NULL CHECK (length(subsystem) <= 50),
  enabled INTEGER NOT NULL,
  auto_run INTEGER NOT NULL,
  interval_minutes INTEGER NOT NULL,
  PRIMARY KEY (agent_id, subsystem)
) STRICT;

CREATE TABLE IF NOT EXISTS system_events (
  id TEXT PRIMARY KEY,
  agent_id TEXT REFERENCES agents(id) ON DELETE CASCADE,
  event_type TEXT NOT NULL CHECK (length(event_type) <= 50),
  event_subtype TEXT NOT NULL CHECK (length(event_subtype) <= 50),
  severity TEXT NOT NULL CHECK (length(severity) <= 20),
  component TEXT NOT NULL CHECK (length(component) <= 50),
  message TEXT NOT NULL,
  metadata TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS capability_tokens (
  token_id TEXT PRIMARY KEY,
  update_id TEXT NOT NULL,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  package_type TEXT NOT NULL CHECK (length(package_type) <= 32),
  token TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  delivered_at_ms INTEGER,
  consumed_at_ms INTEGER,
  receipt TEXT
) STRICT;

-- Metrics, storage, containers, processes, inventory, breakers, security events: one row each.
CREATE TABLE IF NOT EXISTS reported_rows (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
  command_id TEXT NOT NULL,
  row TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT;

-- The rest is the upgrade. Agents of before keep everything but a machine id, which they never had.
UPDATE packages SET status = 'installed' WHERE status = 'updated';
INSERT OR IGNORE INTO agent_bindings (agent_id) SELECT id FROM agents;
INSERT OR IGNORE INTO agent_subsystems
  SELECT agents.id, defaults.column1, defaults.column2, 0, defaults.column3 FROM agents,
    (VALUES ('updates', 1, 15), ('docker', 0, 15), ('storage', 1, 15), ('system', 1, 30)) AS defaults;
INSERT OR IGNORE INTO rotating_tokens (token_hash, agent_id, family_id, expires_at_ms)
  SELECT token_hash, agent_id, token_hash, expires_at_ms FROM refresh_tokens
  WHERE agent_id IN (SELECT id FROM agents);
DELETE FROM refresh_tokens;
INSERT OR IGNORE INTO command_deliveries (command_id, source, expires_at_ms)
  SELECT id, 'manual', created_at_ms + 14400000 FROM agent_commands;
`;
