"""Lesson 12's processes, two runaways and three that are innocent, by the first word."""

import os
import sys
import time

print('"ready"', flush=True)
sys.stdin.readline()
role = sys.argv[1]


def spin(cpu_s):
    until_s = time.process_time() + cpu_s
    while time.process_time() < until_s:
        pass


def fork(n_children, pause_s):
    for _ in range(n_children):
        time.sleep(pause_s)
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)


if role == "spin":
    spin(float(sys.argv[2]))
elif role == "storm":
    fork(int(sys.argv[2]), 0)
elif role == "worker":  # as much time as a spinner, in short pieces of work
    for _ in range(8):
        spin(0.08)
        time.sleep(0.01)
elif role == "build":
    fork(int(sys.argv[2]), 0.014)
else:
    time.sleep(1)
print("null", flush=True)
sys.stdin.readline()
