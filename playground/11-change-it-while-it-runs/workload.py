"""Lesson 11's parent: children that exec twice each, without a pause, until it is told to stop. It
says how many execs there were."""

import select
import subprocess
import sys

print('"ready"', flush=True)
sys.stdin.readline()
n_execs = 0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    subprocess.run(["sh", "-c", "exec sh -c :"], check=True)
    n_execs += 2
print(n_execs, flush=True)
sys.stdin.readline()
sys.stdin.readline()
