#!/bin/sh
# Installs Pennon from a release, or removes it. It needs curl or wget, sha256sum or shasum, and gpgv,
# gpg or sqv: it installs nothing that it cannot verify.
#
#   sh install.sh [options]
#
#   --version V     the release to install; by default the one that this script belongs to
#   --prefix DIR    pennon goes to DIR/bin (/usr/local)
#   --from URL      download from a mirror: the directory that holds SHA256SUMS
#   --dry-run       say what would be done, and do nothing
#   --uninstall     remove the executable; the configuration and the state stay
#   --help          print this
#
# Exit codes: 0 done, 1 failed (nothing is changed), 2 misused.
set -eu

# `deno task release` fills these in.
RELEASE='@VERSION@'
URL='@URL@'
FINGERPRINT='@FINGERPRINT@'
KEY='@KEY@'

say() {
  printf 'pennon: %s\n' "$*" >&2
}

fail() {
  say "Cannot $ACTION: $1"
  if [ $# -gt 1 ]; then say "Next: $2"; fi
  exit 1
}

misused() {
  say "$1"
  say 'Next: sh install.sh --help'
  exit 2
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# Everything is in functions, and main is called in the last line: a script that was cut off while it
# was downloaded does nothing.
main() {
  ACTION=install
  version=$RELEASE
  prefix=/usr/local
  from=
  dry=no
  while [ $# -gt 0 ]; do
    case $1 in
      --version | --prefix | --from)
        if [ $# -lt 2 ] || [ -z "$2" ]; then misused "$1 needs a value"; fi
        case $1 in
          --version) version=${2#v} ;;
          --prefix) prefix=${2%/} ;;
          --from) from=${2%/} ;;
        esac
        shift
        ;;
      --dry-run) dry=yes ;;
      --uninstall) ACTION=uninstall ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) misused "no such option \"$1\"" ;;
    esac
    shift
  done
  case $prefix in /*) ;; *) misused '--prefix needs an absolute path' ;; esac
  target=$prefix/bin/pennon
  if [ "$ACTION" = uninstall ]; then
    uninstall
  else
    case $version in
      '' | *[!0-9A-Za-z.+-]*) misused "no such version \"$version\"" ;;
    esac
    install_release
  fi
}

usage() {
  cat <<'TEXT'
Usage: sh install.sh [options]

  --version V     the release to install; by default the one that this script belongs to
  --prefix DIR    pennon goes to DIR/bin (/usr/local)
  --from URL      download from a mirror: the directory that holds SHA256SUMS
  --dry-run       say what would be done, and do nothing
  --uninstall     remove the executable; the configuration and the state stay
TEXT
}

uninstall() {
  if [ ! -e "$target" ] && [ ! -L "$target" ]; then
    say "$target is not there; nothing to do"
    return
  fi
  if owned_by_package; then
    fail "$target belongs to a package" 'apt-get remove pennon, or dnf remove pennon'
  fi
  if unit=$(unit_of_target); then
    fail "$unit starts $target" "$target service uninstall"
  fi
  if [ "$dry" = yes ]; then
    say "would remove $target"
    return
  fi
  rm -f "$target" || fail "$target cannot be removed" 'run this as root, or give the same --prefix'
  say "removed $target"
  say 'The configuration (/etc/pennon) and the state (/var/lib/pennon) are still there.'
}

# A package's file is the package manager's to replace and remove.
owned_by_package() {
  { has dpkg-query && dpkg-query -S "$target" >/dev/null 2>&1; } ||
    { has rpm && rpm -qf "$target" >/dev/null 2>&1; }
}

# The service's file, if it starts the target.
unit_of_target() {
  unit=/etc/systemd/system/pennon.service
  plist=/Library/LaunchDaemons/io.pennon.agent.plist
  if grep -qsF "ExecStart=$target " "$unit"; then
    printf '%s\n' "$unit"
  elif grep -qsF "<string>$target</string>" "$plist"; then
    printf '%s\n' "$plist"
  else
    return 1
  fi
}

install_release() {
  case $KEY in
    @*) fail 'this copy of the script has no key in it' 'take install.sh from a release' ;;
  esac
  platform=$(platform_name) || exit 1
  if [ "$(uname -s)" = Linux ]; then require_glibc; fi
  choose_downloader
  choose_hasher
  choose_verifier
  base=${from:-$URL/$version}
  archive=pennon-$version-$platform.tar.gz
  say "Pennon $version for $platform"
  say "from        $base/$archive"
  say "signed by   $FINGERPRINT, verified with $verifier"
  say "installs    $target"
  if owned_by_package; then
    fail "$target belongs to a package" 'upgrade the package, or give another --prefix'
  fi
  if [ "$dry" = yes ]; then
    say 'dry run: nothing was downloaded and nothing was changed'
    return
  fi
  # Before the download: a directory that cannot be written is known now.
  parent=$prefix/bin
  while [ ! -e "$parent" ]; do parent=$(dirname "$parent"); done
  if [ ! -d "$parent" ] || [ ! -w "$parent" ]; then
    fail "$parent cannot be written" "run this as root, or give --prefix $HOME/.local"
  fi
  work=$(mktemp -d) || fail 'no temporary directory can be made'
  trap 'rm -rf "$work" "$target.new.$$"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  download "$base/SHA256SUMS" "$work/SHA256SUMS"
  download "$base/SHA256SUMS.asc" "$work/SHA256SUMS.asc"
  verify_signature
  wanted=$(sum_of "$archive")
  if [ -z "$wanted" ]; then
    fail "release $version has no $archive"
  fi
  download "$base/$archive" "$work/$archive"
  found=$(hash_of "$work/$archive")
  if [ "$found" != "$wanted" ]; then
    fail "$archive has the SHA-256 $found; the signed list says $wanted"
  fi
  say 'checked     signature and SHA-256 are right'
  tar -xzf "$work/$archive" -C "$work" "pennon-$version-$platform/pennon" ||
    fail "$archive cannot be unpacked"
  new=$work/pennon-$version-$platform/pennon
  # Beside the target first: the replacement is one rename, and a running agent keeps its old file.
  if ! { mkdir -p "$prefix/bin" && cp "$new" "$target.new.$$" && chmod 0755 "$target.new.$$"; }; then
    fail "$prefix/bin cannot be written"
  fi
  if ! says=$("$target.new.$$" --version 2>&1); then
    fail "the executable does not start here: $says"
  fi
  mv -f "$target.new.$$" "$target" || fail "$target cannot be replaced"
  say "installed   $target: $(printf '%s\n' "$says" | head -n 1)"
  case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) say "$prefix/bin is not on your PATH" ;;
  esac
  say 'Next: pennon scan, which needs no server and no root'
}

platform_name() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=macos ;;
    *) fail "there is no release for $(uname -s)" 'for Windows take the .zip of the release' ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) printf '%s-x64\n' "$os" ;;
    aarch64 | arm64) printf '%s-arm64\n' "$os" ;;
    *) fail "there is no release for the processor $(uname -m)" ;;
  esac
}

# The executable needs the GNU C library in version 2.27 or newer.
require_glibc() {
  # ldd of musl fails, and says on stderr what it is.
  if ! libc=$(getconf GNU_LIBC_VERSION 2>/dev/null); then
    if { ldd --version 2>&1 || :; } | grep -qi musl; then
      fail 'this system has musl (as Alpine does), and Pennon needs glibc 2.27 or newer' \
        'run Pennon on a system with glibc'
    fi
    fail 'this system has no glibc that getconf knows, and Pennon needs glibc 2.27 or newer'
  fi
  libc=${libc#glibc }
  major=${libc%%.*}
  minor=${libc#*.}
  minor=${minor%%[!0-9]*}
  if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 27 ]; }; then
    fail "this system has glibc $libc, and Pennon needs 2.27 or newer" \
      'upgrade the system: Debian 10, Ubuntu 18.04 and RHEL 8 are new enough'
  fi
}

choose_downloader() {
  if has curl; then
    downloader=curl
  elif has wget; then
    downloader=wget
  else
    fail 'neither curl nor wget is here' 'install one of them'
  fi
}

choose_hasher() {
  if has sha256sum; then
    hasher=sha256sum
  elif has shasum; then
    hasher=shasum
  else
    fail 'neither sha256sum nor shasum is here' 'install coreutils'
  fi
}

choose_verifier() {
  for verifier in gpgv gpg sqv; do
    if has "$verifier"; then return; fi
  done
  fail 'neither gpgv, gpg nor sqv is here to verify the signature' \
    'install gpgv (Debian, Ubuntu), gnupg2 (Fedora, RHEL) or gnupg (Homebrew)'
}

# To FILE or not at all.
download() {
  case $downloader in
    curl) curl -fsSL --retry 2 --connect-timeout 20 -o "$2" "$1" ;;
    wget) wget -q --tries=3 --timeout=20 -O "$2" "$1" ;;
  esac || fail "$1 cannot be downloaded with $downloader"
}

hash_of() {
  case $hasher in
    sha256sum) sha256sum "$1" ;;
    shasum) shasum -a 256 "$1" ;;
  esac | cut -d ' ' -f 1
}

sum_of() {
  awk -v name="$1" '$2 == name || $2 == "*" name { print $1; exit }' "$work/SHA256SUMS"
}

verify_signature() {
  printf '%s\n' "$KEY" >"$work/key.asc"
  # The binary form, which all three read: the lines between the empty line and the checksum.
  printf '%s\n' "$KEY" | sed -e '1,/^$/d' -e '/^=/,$d' -e '/^-----END/,$d' | decode >"$work/key.gpg"
  case $verifier in
    gpgv) gpgv --keyring "$work/key.gpg" "$work/SHA256SUMS.asc" "$work/SHA256SUMS" ;;
    sqv) sqv --keyring "$work/key.gpg" "$work/SHA256SUMS.asc" "$work/SHA256SUMS" ;;
    gpg)
      mkdir -m 0700 "$work/gnupg"
      gpg --homedir "$work/gnupg" --batch --quiet --import "$work/key.gpg" &&
        gpg --homedir "$work/gnupg" --batch --trust-model always \
          --verify "$work/SHA256SUMS.asc" "$work/SHA256SUMS"
      ;;
  esac >"$work/verdict" 2>&1 || {
    sed 's/^/  /' "$work/verdict" >&2
    fail 'the signature of SHA256SUMS is wrong'
  }
}

decode() {
  if base64 -d </dev/null >/dev/null 2>&1; then base64 -d; else base64 -D; fi
}

main "$@"
