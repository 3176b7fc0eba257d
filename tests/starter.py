"""A program that starts others at a steady pace, and knows which: what probes tell is held against
it."""

# Arguments: what it starts, again and again, and how often a second. When its input ends, it says
# the pids of all.
STARTER = """
import os, select, sys, time
pids, due_s = [], time.monotonic()
while not select.select([0], [], [], max(0, due_s - time.monotonic()))[0]:
    due_s += 1 / float(sys.argv[2])
    pid = os.posix_spawn(sys.argv[1], [sys.argv[1]], {})
    os.waitpid(pid, 0)
    pids.append(pid)
print(*pids, flush=True)
"""
