"""Lesson 7's processes: `spin` uses SECONDS of CPU time; `blink` sleeps for 1 ms at a time,
that long, on the same CPU; `sleep` sleeps once, that long."""

import os
import sys
import time

print('"ready"', flush=True)
sys.stdin.readline()
role, seconds = sys.argv[1], float(sys.argv[2])
if role != "sleep":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if role == "spin":
    until_s = time.process_time() + seconds
    while time.process_time() < until_s:
        pass
elif role == "blink":
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(0.001)
else:
    time.sleep(seconds)
# What it used shows when it has left the CPU: it does so here, and waits.
os.write(1, b"null\n")
sys.stdin.readline()
