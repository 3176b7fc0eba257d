#!/bin/sh
# Runs deploy/systemd's service under a real systemd, where the machine was not booted with one: as
# root, in a mount namespace, by a user manager on a socket of its own. Shows that the filter of
# system calls and the capabilities let it find runaways in C, JavaScript and Java for somebody
# without privilege, and that it ends when idle while its socket stays. A minute.
#
# What this machine cannot mount for any service is named and left out. The manager gets control
# groups of its own: it would move everything else that runs into one of its making.
set -eu

if [ "${1:-}" != inside ]; then
    checkout=$(dirname "$(dirname "$(readlink -f "$0")")")
    folder=$(mktemp -d /tmp/linnix-service.XXXXXX)
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    unshare --mount sh "$(readlink -f "$0")" inside "$checkout" "$folder" && status=0 || status=$?
    sleep 1 # what was ended in them is gone by then
    find /sys/fs/cgroup -depth -type d -path "*/linnix-try*" -exec rmdir {} + 2>/dev/null || true
    exit "$status"
fi
checkout=$2
folder=$3

say() { printf 'try-service: %s\n' "$*"; }

for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/linnix-try"
    echo $$ 2>/dev/null >"$hierarchy/linnix-try/cgroup.procs" || true # cpuset wants more than that
done

# systemd runs user managers only where it thinks that the machine was booted with it.
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd
mkdir /run/systemd/system
export XDG_RUNTIME_DIR="$folder/run" XDG_CONFIG_HOME="$folder/config" HOME="$folder"
mkdir -m 700 "$XDG_RUNTIME_DIR"
units=$XDG_CONFIG_HOME/systemd/user
mkdir -p "$units"
timeout 180 /lib/systemd/systemd --user >"$folder/manager.log" 2>&1 &
until systemctl --user is-system-running >/dev/null 2>&1; do sleep 0.2; done

service=$checkout/deploy/systemd/linnix-ls-agent.service
sed -e "s#^ExecStart=.*#ExecStart=$checkout/.venv/bin/linnix-ls agent --exit-when-idle 5#" \
    -e '/sys-kernel-tracing/d' "$service" >"$units/linnix-ls-agent.service"
grep -oE '^(Protect|Restrict|Lock)[A-Za-z]+=[a-z-]+$' "$service" | while read -r setting; do
    systemd-run --user --wait --quiet -p "$setting" true </dev/null 2>/dev/null && continue
    say "not to be had on this machine: $setting"
    sed -i "/^$setting/d" "$units/linnix-ls-agent.service"
done
printf '[Socket]\nListenStream=%s/agent.sock\nSocketMode=0666\n' "$folder" >"$units/linnix-ls-agent.socket"
systemctl --user daemon-reload
systemctl --user start linnix-ls-agent.socket

mkdir "$folder/work"
cd "$folder/work"
echo 'static volatile int stop; int main(void) { while (!stop) ; }' >loop.c
echo 'function waitFor(job) { while (!job.done) { } } waitFor({ done: false });' >loop.js
echo 'class Loop { public static void main(String[] a) { boolean[] done = {false}; while (!done[0]) { } } }' >Loop.java
gcc -g -O1 -o loop loop.c
for command in ./loop 'node loop.js' 'java Loop.java'; do
    say "$command"
    # shellcheck disable=SC2086  # words
    setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp "$checkout/.venv/bin/linnix-ls" \
        run --agent-socket "$folder/agent.sock" --tracer bcc --explain none -- timeout 8 $command 2>&1 |
        grep -E '^(warning|error)|-->|^linnix' || true
done

main_pid=$(systemctl --user show --property MainPID --value linnix-ls-agent.service)
grep -E 'CapEff|NoNewPrivs|Seccomp:' "/proc/$main_pid/status"
for _ in $(seq 60); do
    [ "$(systemctl --user is-active linnix-ls-agent.service)" = active ] || break
    sleep 0.5
done
say "when idle: service $(systemctl --user is-active linnix-ls-agent.service || true), socket $(systemctl --user is-active linnix-ls-agent.socket)"
systemctl --user stop linnix-ls-agent.socket
systemctl --user exit
