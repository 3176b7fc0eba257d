#!/bin/sh
# Tries dist/linnix-ls_*.deb for real: in a fresh Debian, which it makes in a temporary folder, as
# root, with this machine's kernel. Two minutes; needs mmdebstrap. CI does not run it.
#
#   deploy/try-package.sh [BASE.tar]      a Debian of before (mmdebstrap --variant=minbase bookworm BASE.tar)
set -eu
cd "$(dirname "$0")/.."

say() { printf '\ntry: %s\n' "$*" >&2; }
fail() {
    say "FAILED: $*"
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "this needs root"
package=$(find dist -name 'linnix-ls_*.deb' | sort | tail -n 1)
[ -n "$package" ] || fail "no package in dist: make packages"
work=$(mktemp -d /var/tmp/linnix-ls-try.XXXXXX)
chmod 755 "$work"
root=$work/root
agent=

finish() {
    [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
    for place in proc sys; do umount -R -l "$root/$place" 2>/dev/null || true; done
    # Nothing of the machine may still be mounted below what is removed.
    grep -q " $root/" /proc/self/mounts || rm -rf --one-file-system "$work"
}
trap finish EXIT

base=${1:-$work/base.tar}
[ -e "$base" ] || mmdebstrap --variant=minbase --include=ca-certificates bookworm "$base" 2>/dev/null
mkdir "$root"
tar -C "$root" -xf "$base" --exclude './dev/*'
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
cp -R /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
for name in null zero random urandom; do cp -a /dev/$name "$root/dev/"; done
ln -s /proc/self/fd "$root/dev/fd"
mount --rbind /proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --make-rslave "$root/proc"
mount --make-rslave "$root/sys"
mkdir -p "$root/run/linnix-ls"
cp "$package" "$root/package.deb"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
as_user() { inside setpriv --reuid=maria --regid=maria --init-groups --inh-caps=-all --no-new-privs env HOME=/home/maria USER=maria "$@"; }

say "installing it, with what it depends on"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends ./package.deb >"$work/apt.log" 2>&1 || {
    cat "$work/apt.log"
    fail "it cannot be installed"
}
inside getent group linnix-ls || fail "there is no group"
inside sh -c 'test -e /etc/systemd/system/sockets.target.wants/linnix-ls-agent.socket' ||
    say "(no systemd in this root: the socket is enabled when there is one)"
inside linnix-ls --version
inside useradd --create-home maria

say "the agent, at a socket that root has opened for the group, as systemd would"
python3 - "$root" <<'PYTHON' &
import os, socket, sys

os.chroot(sys.argv[1])
os.chdir("/")
path = "/run/linnix-ls/agent.sock"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
[gid] = [line.split(":")[2] for line in open("/etc/group") if line.startswith("linnix-ls:")]
os.chown(path, 0, int(gid))
os.chmod(path, 0o660)
listener.listen()
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
os.execvp("/usr/bin/linnix-ls", ["linnix-ls", "agent", "--exit-when-idle", "600"])
PYTHON
agent=$!
while ! [ -S "$root/run/linnix-ls/agent.sock" ]; do sleep 0.1; done

say "who is not in the group is told what to do"
as_user linnix-ls doctor | tee "$work/outside.txt" || true
grep -q 'usermod -aG linnix-ls maria' "$work/outside.txt" || fail "the command is not named"

say "who is in it has everything"
inside usermod -aG linnix-ls maria
as_user linnix-ls doctor || fail "something is degraded"
as_user sh -c 'cd && printf "def drain():\n    while True:\n        pass\n\ndrain()\n" >spin.py'
as_user sh -c 'cd && timeout 12 linnix-ls run -- python3 spin.py' >"$work/run.txt" 2>&1 || true
cat "$work/run.txt"
grep -q 'spin.py:[23]' "$work/run.txt" || fail "the line is not found"

say "installed over itself"
inside dpkg -i package.deb >/dev/null
inside linnix-ls --version
inside id maria | grep -q linnix-ls || fail "an upgrade has lost the members of the group"

say "removed, and purged"
kill "$agent" && wait "$agent" 2>/dev/null || true
agent=
inside apt-get remove -y -qq linnix-ls >/dev/null
left=$(find "$root/usr/lib/linnix-ls" "$root/usr/share/linnix-ls" "$root/usr/bin/linnix-ls" 2>/dev/null || true)
[ -z "$left" ] || fail "left behind: $left"
inside apt-get purge -y -qq linnix-ls >/dev/null 2>&1
inside getent group linnix-ls && fail "the group is still there"
[ ! -e "$root/var/cache/linnix-ls" ] || fail "the cache is still there"
say "all of it worked"
