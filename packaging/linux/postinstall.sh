#!/bin/sh
# After the files are there. dpkg calls it with "configure" and the version that was configured before;
# rpm with the number of versions that are installed from now on.
set -e

case "${1-}" in
  configure | [0-9]*) ;;
  *) exit 0 ;;
esac

# The configuration can hold a token for registration. rpm sets owner and mode from the package.
if [ "$1" = configure ] && [ -z "${2-}" ] && [ -f /etc/pennon/config.toml ]; then
  chown root:pennon /etc/pennon/config.toml
  chmod 0640 /etc/pennon/config.toml
fi

# What is in it is the agent's own, and is not touched.
if [ ! -d /var/lib/pennon ]; then
  install -d -o pennon -g pennon -m 0700 /var/lib/pennon
fi

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  # An agent that runs goes on with the new executable; one that does not run is left alone.
  systemctl try-restart pennon.service || :
fi

if { [ "$1" = configure ] && [ -z "${2-}" ]; } || [ "$1" = 1 ]; then
  cat <<'TEXT'
Pennon is installed and does not run yet. Next, with a token from the server's dashboard:
  echo TOKEN | sudo pennon register --server URL --token -
  sudo systemctl enable --now pennon
TEXT
fi
