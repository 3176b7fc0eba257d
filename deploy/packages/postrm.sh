#!/bin/sh
# After removing. $1: of dpkg `remove`, `purge` or `upgrade`, of rpm 0 (removed) or 1 (upgraded).
set -e
socket=linnix-ls-agent.socket

case ${1:-} in
    remove | purge | 0)
        rm -f /etc/systemd/system/linnix-ls-agent.service.d/sampling.conf
        rmdir /etc/systemd/system/linnix-ls-agent.service.d 2>/dev/null || true
        [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
        ;;
esac
if [ "${1:-}" = remove ] && command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper mask $socket >/dev/null || true
fi
case ${1:-} in
    purge | 0)
        if [ "$1" = purge ] && command -v deb-systemd-helper >/dev/null; then
            deb-systemd-helper purge $socket >/dev/null || true
            deb-systemd-helper unmask $socket >/dev/null || true
        fi
        rm -rf /var/cache/linnix-ls
        groupdel linnix-ls 2>/dev/null || true
        ;;
esac
