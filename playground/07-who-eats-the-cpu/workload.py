"""Lesson 7's processes: `spin` uses CPU_S of CPU time, `sleep` lasts as long and uses none."""

import os
import sys
import time

print('"ready"', flush=True)
sys.stdin.readline()
role, cpu_s = sys.argv[1], float(sys.argv[2])
if role == "spin":
    until_s = time.process_time() + cpu_s
    while time.process_time() < until_s:
        pass
else:
    time.sleep(cpu_s)
# What it used shows when it has left the CPU: it does so here, and waits.
os.write(1, b"null\n")
sys.stdin.readline()
