#!/bin/sh
# Shows linnix-ls at work: the sample project's tests, two of which start a child that runs away.
# Then it explains what it found once more, with a note by a language model on this machine; what
# that needs is compiled and fetched only now, once. LINNIX_MODEL=none leaves it out.
#
# As an ordinary user it starts the privileged agent with sudo, for as long as this takes; where
# that is refused, linnix-ls works without eBPF and says so.
set -eu
cd "$(dirname "$0")/../examples/parcels"
bin=$(cd ../../.venv/bin && pwd)
socket=/run/linnix-ls/agent.sock

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

start_agent() {
    if [ "$(id -u)" -eq 0 ] || [ -S "$socket" ] || ! command -v sudo >/dev/null; then
        return 0
    fi
    ready=$scratch/ready
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
findings=$scratch/findings.json
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$bin/linnix-ls" run --json "$findings" -- "$bin/python" -m pytest -p no:cacheprovider || status=$?
# 1: some tests failed, as announced. Anything else is a fault of ours.
[ "$status" -eq 1 ] || exit "$status"

export LINNIX_MODEL="${LINNIX_MODEL:-smollm2-135m}"
echo
echo "Now yours: ${bin#"$PWD"/}/linnix-ls run -- pytest, or any other command."
[ "$LINNIX_MODEL" != none ] || exit 0
echo
echo "That was the rules' explanation. Now with a note by a language model on this machine; the first"
echo "time, what runs it is compiled: two to four minutes. Ctrl-C leaves it out."
echo
trap 'echo "Left out."; exit 0' INT
../../deploy/setup.sh model || exit 0
"$bin/linnix-ls" explain "$findings" --explain llama || echo "Going on without the model's note."
echo
echo "So small a model seldom writes what passes the checks; '.venv/bin/linnix-ls model list' names"
echo "better ones for this machine."
