"""Lesson 3's parents: start the programs that they are given, and say which pid each had."""

import json
import subprocess
import sys

print('"ready"', flush=True)
sys.stdin.readline()
pids = []
for path in sys.argv[1:]:
    with subprocess.Popen([path]) as child:
        pids.append(child.pid)
print(json.dumps(pids), flush=True)
sys.stdin.readline()
