/** The lines that users type to add a repository: the task prints them, and the tests run them. */

/** For Debian and Ubuntu; `url` is where the repositories are. */
export function aptLines(url: string): string {
  return `  sudo install -d -m 0755 /etc/apt/keyrings
  sudo curl -fsSL ${url}/apt/pennon.asc -o /etc/apt/keyrings/pennon.asc
  sudo curl -fsSL ${url}/apt/pennon.sources -o /etc/apt/sources.list.d/pennon.sources
  sudo apt-get update
  sudo apt-get install pennon
`;
}

/** For distributions with dnf. */
export function dnfLines(url: string): string {
  return `  sudo curl -fsSL ${url}/rpm/pennon.asc -o /etc/pki/rpm-gpg/RPM-GPG-KEY-pennon
  sudo curl -fsSL ${url}/rpm/pennon.repo -o /etc/yum.repos.d/pennon.repo
  sudo dnf install pennon
`;
}
