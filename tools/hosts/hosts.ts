/** The systems that the Linux executable is tried on, and how each is fetched. */

import { DEBIAN_MIRROR } from "../place/steps.ts";

/** One of them. */
export interface TriedHost {
  /** Also the name of its folder. */
  readonly name: string;
  readonly suite: string;
  readonly distribution: "debian" | "ubuntu";
  /** Its C library, as `ldd --version` has it. */
  readonly glibc: string;
}

/** From the oldest C library to the newest. Ubuntu 16.04 is there to be refused. */
export const HOSTS: readonly TriedHost[] = [
  { name: "ubuntu-16.04", suite: "xenial", distribution: "ubuntu", glibc: "2.23" },
  { name: "ubuntu-18.04", suite: "bionic", distribution: "ubuntu", glibc: "2.27" },
  { name: "debian-11", suite: "bullseye", distribution: "debian", glibc: "2.31" },
  { name: "ubuntu-20.04", suite: "focal", distribution: "ubuntu", glibc: "2.31" },
  { name: "ubuntu-22.04", suite: "jammy", distribution: "ubuntu", glibc: "2.35" },
  { name: "debian-12", suite: "bookworm", distribution: "debian", glibc: "2.36" },
  { name: "ubuntu-24.04", suite: "noble", distribution: "ubuntu", glibc: "2.39" },
  { name: "debian-13", suite: "trixie", distribution: "debian", glibc: "2.41" },
  { name: "ubuntu-26.04", suite: "resolute", distribution: "ubuntu", glibc: "2.43" },
];

export const UBUNTU_MIRROR = "http://archive.ubuntu.com/ubuntu";

/** Ubuntu's keys, which Debian has no package of: all of its releases since 2012 are signed with them. */
export const UBUNTU_KEYRING = {
  url: `${UBUNTU_MIRROR}/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1build1_all.deb`,
  sha256: "c377ccf26964f4c206c05c0bc7adb708e031beb919bb9a0ff63af983d064cd66",
  file: "usr/share/keyrings/ubuntu-archive-keyring.gpg",
};

/** Where a host's packages come from. */
export function mirrorOf({ distribution }: TriedHost): string {
  return distribution === "debian" ? DEBIAN_MIRROR : UBUNTU_MIRROR;
}

/** Its sources: the release and its updates, so that a release of years ago has some to be found. */
export function sourcesOf(host: TriedHost): string {
  return [host.suite, `${host.suite}-updates`]
    .map((suite) => `deb ${mirrorOf(host)} ${suite} main\n`).join("");
}
