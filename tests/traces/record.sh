#!/bin/sh
# Records the traces beside this script anew (`make traces [NAME ...]`).
cd "$(dirname "$0")/../.." && exec .venv/bin/python -m tests.traces.record "$@"
