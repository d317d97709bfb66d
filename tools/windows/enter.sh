#!/bin/sh
# Runs a program in the Windows place: enter.sh ROOT PROJECT PROGRAM [ARGUMENTS].
# Started in a mount namespace of its own (inside.ts), with which these mounts go.
set -eu
root=$1
project=$2
shift 2
drive="$root/opt/pennon/prefix/drive_c"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/opt/pennon/project"
mount --bind "$project" "$root/opt/pennon/project"
# What runs in there has no business to change the sources.
mount -o remount,bind,ro "$root/opt/pennon/project"
# Tests leave nothing behind here, and have an empty folder for a PowerShell of their own.
for folder in users/root/AppData/Local/Temp windows/system32/WindowsPowerShell; do
  if [ -d "$drive/$folder" ]; then mount -t tmpfs tmpfs "$drive/$folder"; fi
done
cd "$root/opt/pennon/project"
exec chroot "$root" /bin/sh -c 'cd /opt/pennon/project && exec "$@"' enter "$@"
