"""Lesson 8's burst: N calls of getppid(2) as fast as they go, by two threads."""

import os
import sys
import threading

print('"ready"', flush=True)
sys.stdin.readline()
n_calls = int(sys.argv[1])


def call():
    for _ in range(n_calls // 2):
        os.getppid()


threads = [threading.Thread(target=call) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("null", flush=True)
sys.stdin.readline()
