"""python -m spool start|stop RUN_DIR"""
import os
import signal
import sys
import time
from pathlib import Path

from .daemon import serve


def start(run):
    if os.fork():
        end = time.monotonic() + 10
        while not (run / "port").exists() and time.monotonic() < end:
            time.sleep(0.05)
        return 0 if (run / "port").exists() else 1
    os.setsid()
    if os.fork():
        os._exit(0)
    log = os.open(run / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    serve(run)
    os._exit(0)


def stop(run):
    os.kill(int((run / "pid").read_text()), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit({"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2])))
