"""Lesson 6's parents: N children, with a pause of PAUSE_S before each; and which pids they had."""

import json
import os
import sys
import time

print('"ready"', flush=True)
sys.stdin.readline()
n_children, pause_s = int(sys.argv[1]), float(sys.argv[2])
pids = []
for _ in range(n_children):
    time.sleep(pause_s)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    pids.append(pid)
print(json.dumps(pids), flush=True)
sys.stdin.readline()
