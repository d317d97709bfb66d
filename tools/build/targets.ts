/** The systems that an executable can be made for. */

/** One of them. */
export interface Target {
  /** `linux-x64`: the part of the file's name. */
  readonly name: string;
  /** Deno's name for it. */
  readonly triple: string;
  readonly os: "linux" | "windows" | "macos";
  readonly processor: "x86_64" | "arm64";
  /** Where the executable goes. */
  readonly file: string;
}

export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    triple: "x86_64-unknown-linux-gnu",
    os: "linux",
    processor: "x86_64",
    file: "dist/pennon-linux-x64",
  },
  {
    name: "linux-arm64",
    triple: "aarch64-unknown-linux-gnu",
    os: "linux",
    processor: "arm64",
    file: "dist/pennon-linux-arm64",
  },
  {
    name: "windows-x64",
    triple: "x86_64-pc-windows-msvc",
    os: "windows",
    processor: "x86_64",
    file: "dist/pennon-windows-x64.exe",
  },
  {
    name: "macos-x64",
    triple: "x86_64-apple-darwin",
    os: "macos",
    processor: "x86_64",
    file: "dist/pennon-macos-x64",
  },
  {
    name: "macos-arm64",
    triple: "aarch64-apple-darwin",
    os: "macos",
    processor: "arm64",
    file: "dist/pennon-macos-arm64",
  },
];

/** The target of that name, or of that triple, if there is one. */
export function describeTarget(name: string): Target | undefined {
  return TARGETS.find((target) => target.name === name || target.triple === name);
}
