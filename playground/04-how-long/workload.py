"""Lesson 4's parent: N_SHORT children that live 45 ms and N_LONG that live 180 ms, and each has a
thread that ends at once. It says of each child, in ns, how long it lived at least and at most: a
busy machine keeps both waiting, and the truth lies in between."""

import json
import os
import sys
import threading
import time

print('"ready"', flush=True)
sys.stdin.readline()
lifetimes_s = [0.045] * int(sys.argv[1]) + [0.18] * int(sys.argv[2])


def live(lifetime_s, report_fd):
    began_ns = time.monotonic_ns()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    time.sleep(lifetime_s)
    os.write(report_fd, (time.monotonic_ns() - began_ns).to_bytes(8, "little"))
    os._exit(0)


started = {}
bounds_ns = []
for lifetime_s in lifetimes_s:
    report_fd, child_fd = os.pipe()
    before_ns = time.monotonic_ns()
    pid = os.fork()
    if pid == 0:
        live(lifetime_s, child_fd)
    started[pid] = before_ns, report_fd
while started:
    pid, _ = os.wait()
    after_ns = time.monotonic_ns()
    before_ns, report_fd = started.pop(pid)
    at_least_ns = int.from_bytes(os.read(report_fd, 8), "little")
    bounds_ns.append((at_least_ns, after_ns - before_ns))
print(json.dumps(bounds_ns), flush=True)
sys.stdin.readline()
