#!/bin/sh
# Before removing or upgrading. $1: of dpkg `remove` or `upgrade`, of rpm 0 (removed) or 1 (upgraded).
set -e
socket=linnix-ls-agent.socket
service=linnix-ls-agent.service

case ${1:-} in
    remove | 0)
        if [ -d /run/systemd/system ]; then
            systemctl stop $socket $service || true
        fi
        # Of rpm the links go here, of dpkg with `purge`.
        [ "$1" = remove ] || systemctl disable --quiet $socket 2>/dev/null || true
        ;;
esac
case ${1:-} in
    1) ;; # the bytecode is already that of the new version
    *) find /usr/lib/linnix-ls -name __pycache__ -type d -prune -exec rm -rf {} + ;;
esac
