#!/bin/sh
# Runs a program in a throw-away view of a root: enter.sh ROOT EXECUTABLE PROGRAM [ARGUMENTS].
# EXECUTABLE is /pennon there. What is written goes with the mount namespace in which this is started;
# with EXECUTABLE "-" it stays.
set -eu
root=$1
executable=$2
shift 2
if [ "$executable" != - ]; then
  # The folder above the root is this task's own; the tmpfs over it is not seen by others.
  view=$(dirname "$root")/view
  mkdir -p "$view"
  mount -t tmpfs tmpfs "$view"
  mkdir "$view/upper" "$view/work" "$view/root"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$view/upper,workdir=$view/work" "$view/root"
  root=$view/root
  : > "$root/pennon"
  mount --bind "$executable" "$root/pennon"
fi
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" "$@"
