/** What tests need of this host: a test that lacks it is ignored, so that the summary counts it. */

/** The programs that tests ask for, and the package of Debian that has each. */
export const PACKAGES = {
  bash: "bash",
  cat: "coreutils",
  chroot: "coreutils",
  "cloud-init": "cloud-init",
  createrepo_c: "createrepo-c",
  curl: "curl",
  dash: "dash",
  gpgv: "gpgv",
  shellcheck: "shellcheck",
  wget: "wget",
  dnf: "dnf",
  dpkg: "dpkg",
  "dpkg-deb": "dpkg",
  "ansible-lint": "ansible-lint",
  "ansible-playbook": "ansible-core",
  "apt-ftparchive": "apt-utils",
  faketime: "faketime",
  fish: "fish",
  git: "git",
  gpg: "gnupg",
  gpgconf: "gnupg",
  free: "procps",
  groff: "groff",
  gzip: "gzip",
  head: "coreutils",
  ip: "iproute2",
  kill: "procps",
  mandoc: "mandoc",
  modifyrepo_c: "createrepo-c",
  mount: "mount",
  "mkfs.ext4": "e2fsprogs",
  openssl: "openssl",
  perl: "perl",
  podman: "podman",
  prometheus: "prometheus",
  "prometheus-node-exporter": "prometheus-node-exporter",
  promtool: "prometheus",
  python3: "python3",
  "qemu-x86_64": "qemu-user",
  rpm: "rpm",
  rpmbuild: "rpm",
  runc: "runc",
  script: "bsdutils",
  setpriv: "util-linux",
  sh: "dash",
  strace: "strace",
  systemctl: "systemd",
  tar: "tar",
  true: "coreutils",
  unshare: "util-linux",
  unzip: "unzip",
  zip: "zip",
  zsh: "zsh",
} as const;

/** A program that a test may ask for. */
export type Program = keyof typeof PACKAGES;

/** Whether one of `programs`, names or paths, is not there: for `ignore` of a test. Add names to `PACKAGES`. */
export async function lacks(...programs: readonly string[]): Promise<boolean> {
  return (await missing(programs)).length > 0;
}

/** Those of `programs` that are not there. */
export async function missing<T extends string>(programs: readonly T[]): Promise<T[]> {
  const found = await Promise.all(programs.map(isThere));
  return programs.filter((_, index) => !found[index]);
}

async function isThere(program: string): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'command -v "$0"', program],
    stdout: "null",
  }).output();
  return success;
}
