import shlex
import sys

from .mux import Console


def emit(name, line):
    print(f"{name:>8} | {line}", flush=True)


console = Console(emit)
for job in sys.argv[1:]:
    name, _, command = job.partition("=")
    console.add(name, shlex.split(command))
sys.exit(console.run())
