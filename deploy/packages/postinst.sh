#!/bin/sh
# After installing or upgrading. $1: of dpkg `configure`, of rpm 1 (installed) or 2 (upgraded).
set -e
socket=linnix-ls-agent.socket

case ${1:-} in
    configure | 1 | 2) ;;
    *) exit 0 ;;
esac

getent group linnix-ls >/dev/null || groupadd --system linnix-ls
# Nobody but root can write bytecode there, and without it every start takes 0.3 s longer.
/usr/lib/linnix-ls/bin/python3 -I -m compileall -q -f /usr/lib/linnix-ls/lib || true

if command -v deb-systemd-helper >/dev/null; then
    # Debian's way: what an administrator has switched off stays so.
    deb-systemd-helper unmask $socket >/dev/null || true
    if deb-systemd-helper --quiet was-enabled $socket; then
        deb-systemd-helper enable $socket >/dev/null || true
    else
        deb-systemd-helper update-state $socket >/dev/null || true
    fi
elif [ "$1" = 1 ]; then
    systemctl enable --quiet $socket 2>/dev/null || true
fi

# Debian's and Ubuntu's kernels ask for more of who samples.
if [ "$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 2)" -gt 2 ]; then
    mkdir -p /etc/systemd/system/linnix-ls-agent.service.d
    cp /usr/share/linnix-ls/sampling.conf /etc/systemd/system/linnix-ls-agent.service.d/
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    if command -v deb-systemd-invoke >/dev/null; then
        deb-systemd-invoke start $socket >/dev/null || true
    else
        systemctl start $socket || true
    fi
    systemctl try-restart linnix-ls-agent.service || true # not with the old code
fi

cat <<'WORDS'
linnix-ls: whoever is to see everything joins its group, and logs in again:
    sudo usermod -aG linnix-ls NAME
linnix-ls: the extension for VS Code:
    code --install-extension /usr/share/linnix-ls/linnix-ls.vsix
WORDS
