#!/bin/sh
# Runs a program in the Windows place: enter.sh ROOT PROJECT PROGRAM [ARGUMENTS].
# Started in a mount namespace of its own (inside.ts), with which these mounts go.
set -eu
root=$1
project=$2
shift 2
temp="$root/opt/pennon/prefix/drive_c/users/root/AppData/Local/Temp"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/opt/pennon/project"
mount --bind "$project" "$root/opt/pennon/project"
# What runs in there has no business to change the sources.
mount -o remount,bind,ro "$root/opt/pennon/project"
if [ -d "$temp" ]; then mount -t tmpfs tmpfs "$temp"; fi
cd "$root/opt/pennon/project"
exec chroot "$root" /bin/sh -c 'cd /opt/pennon/project && exec "$@"' enter "$@"
