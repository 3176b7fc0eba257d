"""Lesson 5's input for the six programs. KIND of the words says what is called, and with what."""

import contextlib
import os
import sys

print('"ready"', flush=True)
sys.stdin.readline()
runner = os.getpid()
with open(os.devnull, "wb", buffering=0) as sink:
    for word in sys.argv[1:]:
        kind, _, text = word.partition("=")
        if kind == "fsync":
            with contextlib.suppress(OSError):  # no such file: the call counts all the same
                os.fsync(int(text))
        elif kind == "umask":
            os.umask(int(text))
        elif kind == "getpgid":
            with contextlib.suppress(ProcessLookupError):
                os.getpgid(int(text))
        elif kind == "pwrite":
            os.pwrite(sink.fileno(), text.encode(), 0)
        elif kind == "exec":
            os.spawnl(os.P_WAIT, text, text)
        elif kind == "depth":
            # A chain of so many children; the last one asks for the runner's session.
            for _ in range(int(text)):
                if pid := os.fork():
                    os.waitpid(pid, 0)
                    break
            else:
                os.getsid(runner)
            if os.getpid() != runner:
                os._exit(0)
print("null", flush=True)
sys.stdin.readline()
