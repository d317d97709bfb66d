#!/bin/sh
# Runs a program in a root for arm64: enter.sh ROOT SHARE QEMU PROGRAM [ARGUMENTS].
# All of its programs are run by QEMU, children too, because the kernel is told so (binfmt_misc) in a user
# namespace of its own: this host keeps its settings. That needs Linux 6.7. The mounts go with it.
# The program finds SHARE in /srv, and what it writes is thrown away; with SHARE "-" it stays.
set -eu
root=$1
share=$2
qemu=$3
shift 3
# Started in namespaces of its own (tools/place/alone.ts), whose processes /proc does not show yet.
mount -t proc proc /proc
if [ "$share" != - ]; then
  # The directory above the root is of this task alone; the tmpfs over it is not seen by others.
  view=$(dirname "$root")/view
  mkdir -p "$view"
  mount -t tmpfs -o size=2g tmpfs "$view"
  mkdir "$view/upper" "$view/work" "$view/root"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$view/upper,workdir=$view/work" "$view/root"
  root=$view/root
  mount --bind "$share" "$root/srv"
fi
gate=$(mktemp -d)
trap 'rm -rf "$gate"' EXIT
mkfifo "$gate/open"
inside='
read -r _ < "$1"
root=$2 qemu=$3
shift 3
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
magic="\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
printf "%s" ":qemu-aarch64:M::$magic:$mask:$qemu:OPF" > /proc/sys/fs/binfmt_misc/register
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" "$@"'
unshare --user --mount --pid --fork --kill-child \
  /bin/sh -ec "$inside" enter "$gate/open" "$root" "$qemu" "$@" &
child=$!
while [ "$(readlink "/proc/$child/ns/user")" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
# Every account is itself there, or apt and dpkg could give files to none.
echo '0 0 65536' > "/proc/$child/uid_map"
echo '0 0 65536' > "/proc/$child/gid_map"
echo > "$gate/open"
wait "$child"
