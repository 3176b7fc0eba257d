"""Lesson 1's processes: `exec N` becomes another program N times, `rest` never does."""

import json
import subprocess
import sys

print('"ready"', flush=True)
sys.stdin.readline()
role, n_execs = sys.argv[1], int(sys.argv[2])
pid = None
if role == "exec":
    # The shell's exec keeps the pid; the start of the first one counts as well.
    again = 'if [ "$1" -gt 1 ]; then exec sh -c "$0" "$0" $(($1 - 1)); fi'
    with subprocess.Popen(["sh", "-c", again, again, str(n_execs)]) as child:
        pid = child.pid
print(json.dumps(pid), flush=True)
sys.stdin.readline()
