#!/bin/sh
# Shows linnix-ls at work: the sample project's tests, two of which start a child that runs away.
#
# As an ordinary user it starts the privileged agent with sudo, for as long as this takes; where
# that is refused, linnix-ls works without eBPF and says so.
set -eu
cd "$(dirname "$0")/../examples/parcels"
bin=$(cd ../../.venv/bin && pwd)
socket=/run/linnix-ls/agent.sock

start_agent() {
    if [ "$(id -u)" -eq 0 ] || [ -S "$socket" ] || ! command -v sudo >/dev/null; then
        return 0
    fi
    ready=$(mktemp)
    trap 'rm -f "$ready"' EXIT
    set -- -b
    if [ -t 0 ] && [ -t 2 ]; then
        echo "Loading eBPF probes needs root: sudo may ask for your password (Ctrl-C to go on without)."
        trap : INT
    else
        set -- -n -b
    fi
    # The agent says in one line that it is ready, or why not, and goes away with its last client.
    # shellcheck disable=SC2024  # the file is ours, not root's
    if sudo "$@" "$bin/linnix-ls" agent --exit-when-idle --ready-fd 1 >"$ready"; then
        for _ in $(seq 300); do
            [ ! -s "$ready" ] || break
            sleep 0.1
        done
    else
        echo "Going on without eBPF."
    fi
    trap - INT
}

start_agent
echo "Running the tests of examples/parcels under watch. Two of them fail, and that is the point:"
echo "the lines that make them fail are what linnix-ls shows."
echo
status=0
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$bin/linnix-ls" run -- "$bin/python" -m pytest -p no:cacheprovider || status=$?
# 1: some tests failed, as announced. Anything else is a fault of ours.
[ "$status" -eq 1 ] || exit "$status"
