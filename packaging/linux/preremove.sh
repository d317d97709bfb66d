#!/bin/sh
# Before the files go. dpkg calls it with "remove" (or "upgrade"); rpm with the number of versions that
# stay. An upgrade lets the agent run: postinstall.sh restarts it.
set -e

case "${1-}" in
  remove | 0) ;;
  *) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
  # SIGTERM: it delivers what it can within 5 s, and keeps the rest in /var/lib/pennon.
  systemctl --no-reload disable --now pennon.service || :
else
  # In a chroot, where the links are all there is of an enabled service.
  rm -f /etc/systemd/system/multi-user.target.wants/pennon.service
fi
