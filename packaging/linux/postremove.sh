#!/bin/sh
# After the files are gone. dpkg calls it with "remove" or "purge"; rpm with the number of versions that
# stay. Only a purge deletes the state: the registration, the tokens and the buffered events.
set -e

case "${1-}" in
  remove | purge | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload || :
    fi
    ;;
esac

if [ "${1-}" = purge ]; then
  rm -rf /var/lib/pennon /etc/systemd/system/pennon.service.d
  # dpkg has deleted config.toml; other files of the administrator's stay.
  rmdir /etc/pennon 2>/dev/null || :
  if getent passwd pennon >/dev/null; then
    userdel pennon || :
  fi
  if getent group pennon >/dev/null; then
    groupdel pennon || :
  fi
fi
