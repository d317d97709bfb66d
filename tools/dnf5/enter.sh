#!/bin/sh
# Runs a program on a host of dnf 5's: enter.sh DEBIAN WORLD PROGRAM [ARGUMENTS].
# DEBIAN is a root with dnf 5 in it; what dnf knows of the host is in WORLD. To be started in a mount
# namespace of its own, with which these mounts go.
set -eu
root=$1
world=$2
shift 2
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$world"
mount --bind "$world" "$root$world"
mount --bind "$world/etc" "$root/etc/dnf"
mount --bind "$world/repos.d" "$root/etc/yum.repos.d"
mount --bind "$world/cache" "$root/var/cache/libdnf5"
mount --bind "$world/rpmdb" "$root/var/lib/rpm"
mount --bind "$world/lib" "$root/var/lib/dnf"
mount --bind "$world/log" "$root/var/log"
exec chroot "$root" "$@"
