/** The port to facts about this machine that need no other program. */

/** The times of one processor since boot. */
export interface CpuTimes {
  /** As the system names it; may be empty. */
  readonly model: string;
  /** All time that was not idle. */
  readonly busyMs: number;
  /** Busy and idle time. */
  readonly totalMs: number;
}

/** One address of a network interface. */
export interface NetworkAddress {
  /** The type of `address`. */
  readonly family: "IPv4" | "IPv6";
  /** In text form, without a prefix length. */
  readonly address: string;
  /** Six bytes in hexadecimal, separated by colons. */
  readonly mac: string;
}

/** No method throws: an unknown fact is `null` or empty. */
export interface Machine {
  /** Not necessarily a full domain name. */
  hostName(): string;
  /** The kernel's release: `6.1.0-18-amd64`, `10.0.22631`. */
  kernelRelease(): string;
  /** Seconds since the system started. */
  uptimeS(): number | null;
  /** Physical memory; available: for new programs, without swapping. */
  memory(): { totalBytes: number; availableBytes: number } | null;
  /** One entry per logical processor. */
  cpus(): CpuTimes[];
  /** The file system that holds `path`. */
  disk(path: string): { totalBytes: number; freeBytes: number } | null;
  /** Every address of every interface, loopback included. */
  networkAddresses(): NetworkAddress[];
  /** The user's number; 0 is root, `null` on Windows. */
  userId(): number | null;
  /** The user's home directory, if it is known. */
  homeDirectory(): string | null;
}
