"""Lesson 2's parents: N children that exec once, some of them started by a thread, and some of
which have a child of their own."""

import subprocess
import sys
import threading

print('"ready"', flush=True)
sys.stdin.readline()
n_children = int(sys.argv[1])


def start(numbers):
    for number in numbers:
        # ":" at the end keeps the shell from becoming /bin/true itself.
        script = "/bin/true; :" if number % 3 == 0 else ":"
        subprocess.run(["sh", "-c", script], check=True)


half = n_children // 2
start(range(half))
thread = threading.Thread(target=start, args=(range(half, n_children),))
thread.start()
thread.join()
print("null", flush=True)
sys.stdin.readline()
