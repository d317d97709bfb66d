/** The systems that an executable can be made for. */

/** One of them. */
export interface Target {
  /** Deno's name for it. */
  readonly triple: string;
  readonly os: "linux" | "windows" | "macos";
  /** Where the executable goes. */
  readonly file: string;
}

export const TARGETS: readonly Target[] = [
  { triple: "x86_64-unknown-linux-gnu", os: "linux", file: "dist/pennon-linux-x64" },
  { triple: "aarch64-unknown-linux-gnu", os: "linux", file: "dist/pennon-linux-arm64" },
  { triple: "x86_64-pc-windows-msvc", os: "windows", file: "dist/pennon-windows-x64.exe" },
  { triple: "x86_64-apple-darwin", os: "macos", file: "dist/pennon-macos-x64" },
  { triple: "aarch64-apple-darwin", os: "macos", file: "dist/pennon-macos-arm64" },
];

/** The target of that name, if there is one. */
export function describeTarget(triple: string): Target | undefined {
  return TARGETS.find((target) => target.triple === triple);
}
