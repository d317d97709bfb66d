/** The port to facts about this machine that need no other program. */

/** The times of one processor since boot. */
export interface CpuTimes {
  readonly model: string;
  readonly busyMs: number;
  readonly totalMs: number;
}

/** One address of a network interface. */
export interface NetworkAddress {
  readonly family: "IPv4" | "IPv6";
  readonly address: string;
  readonly mac: string;
}

/** No method throws: an unknown fact is `null` or empty. */
export interface Machine {
  hostName(): string;
  /** The kernel's release: `6.1.0-18-amd64`, `10.0.22631`. */
  kernelRelease(): string;
  uptimeS(): number | null;
  memory(): { totalBytes: number; availableBytes: number } | null;
  cpus(): CpuTimes[];
  /** The file system that holds `path`. */
  disk(path: string): { totalBytes: number; freeBytes: number } | null;
  networkAddresses(): NetworkAddress[];
  /** The user's number; 0 is root, `null` on Windows. */
  userId(): number | null;
  /** The user's home directory, if it is known. */
  homeDirectory(): string | null;
}
