"""Lesson 9's calls: fsync(2) of N files that do not exist, each once; from number FIRST on."""

import contextlib
import os
import sys

print('"ready"', flush=True)
sys.stdin.readline()
first, n_files = int(sys.argv[1]), int(sys.argv[2])
for file in range(first, first + n_files):
    with contextlib.suppress(OSError):
        os.fsync(file)
print("null", flush=True)
sys.stdin.readline()
