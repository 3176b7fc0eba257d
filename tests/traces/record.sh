#!/usr/bin/env bash
# Records the traces beside this script anew (`make traces`): two runaways of the sample project,
# and two innocents. Needs eBPF, a quiet machine, and half a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../.venv/bin
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

record() { # NAME COMMAND...
    local name=$1
    shift
    # A runaway's run fails; what counts is that it was recorded.
    "$bin/linnix-ls" run --tracer bcc --record "$here/$name.trace" -- "$@" || true
}

cd "$here/../../examples/parcels"
record parcels-labels "$bin/python" -m pytest -q -p no:cacheprovider tests/test_labels.py
record parcels-supervisor "$bin/python" -m pytest -q -p no:cacheprovider tests/test_supervisor.py

cd "$scratch"
for n in $(seq 120); do
    echo "int f$n(int x) { return x * $n + 1; }" >"unit_$n.c"
done
cat >Makefile <<'MAKEFILE'
all: $(patsubst %.c,%.o,$(wildcard unit_*.c))
%.o: %.c
	$(CC) -c -O2 -o $@ $<
MAKEFILE
record build make -s -j4

cat >test_many.py <<'PYTHON'
import subprocess

import pytest


@pytest.mark.parametrize("n", range(150))
def test_echo(n):
    done = subprocess.run(["echo", str(n)], capture_output=True, check=True)
    assert done.stdout == f"{n}\n".encode()
PYTHON
record many-subprocesses "$bin/python" -m pytest -q -p no:cacheprovider test_many.py
