#!/bin/sh
# Records the traces beside this script anew (`make traces`), or some of them; see record.py.
cd "$(dirname "$0")/../.." && exec .venv/bin/python -m tests.traces.record "$@"
