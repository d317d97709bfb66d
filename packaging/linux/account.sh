#!/bin/sh
# The account that the service runs as. It is made once and never changed. rpm calls this before the
# files are there; in the .deb it is the beginning of postinstall.sh, when the programs that it needs
# are configured. /usr/lib/sysusers.d/pennon.conf describes the same account for systemd-sysusers.
set -e

if ! getent group pennon >/dev/null; then
  groupadd --system pennon
fi
if ! getent passwd pennon >/dev/null; then
  # A system account gets no home directory; postinstall.sh makes the state directory.
  useradd --system --gid pennon --no-create-home --home-dir /var/lib/pennon \
    --shell /usr/sbin/nologin --comment "Pennon update agent" pennon
fi
