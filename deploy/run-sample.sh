#!/bin/sh
# Shows linnix-ls at work: the sample project's tests, two of which start a child that runs away.
set -eu
cd "$(dirname "$0")/../examples/parcels"
bin=../../.venv/bin

echo "Running the tests of examples/parcels under watch. Two of them fail, and that is the point:"
echo "the lines that make them fail are what linnix-ls shows."
echo
status=0
"$bin/linnix-ls" run -- "$bin/python" -m pytest -p no:cacheprovider || status=$?
# 1: some tests failed, as announced. Anything else is a fault of ours.
[ "$status" -eq 1 ] || exit "$status"
