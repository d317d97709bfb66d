/** What the operating system tells of this machine without starting a program, as a port. */

/** One processor's times since boot. */
export interface CpuTimes {
  readonly model: string;
  readonly busyMs: number;
  readonly totalMs: number;
}

/** One address of one network interface. */
export interface NetworkAddress {
  readonly interfaceName: string;
  readonly family: "IPv4" | "IPv6";
  readonly address: string;
  readonly mac: string;
}

/** None of these throws: what cannot be known is `null` or empty. */
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
  /** The user's number, `null` where users have none; 0 is root. */
  userId(): number | null;
  /** The user's home folder, if it is known. */
  homeDirectory(): string | null;
}
