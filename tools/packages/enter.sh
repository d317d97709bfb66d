#!/bin/sh
# Lays a throw-away view over a root and waits: enter.sh ROOT VIEW. The tests run programs in VIEW/root.
# What they write goes with the mount namespace in which this is started.
set -eu
root=$1
view=$2
mkdir -p "$view"
mount -t tmpfs -o size=4g tmpfs "$view"
mkdir "$view/upper" "$view/work" "$view/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$view/upper,workdir=$view/work" "$view/root"
mount -t proc proc "$view/root/proc"
mount --bind /dev "$view/root/dev"
mount -t tmpfs tmpfs "$view/root/tmp"
