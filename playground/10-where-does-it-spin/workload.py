"""Lesson 10's program: becomes the one that it is given (made by the check), with the same pid."""

import os
import sys

print('"ready"', flush=True)
sys.stdin.readline()
if len(sys.argv) > 1:
    os.execv(sys.argv[1], sys.argv[1:])
print("null", flush=True)
sys.stdin.readline()
