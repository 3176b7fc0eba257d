"""How long a process stands still when its stacks are read, by its own clock.

Each subject is a loop that asks the clock and notes the largest gap between two answers in a file.
The gaps while nobody looks are what the machine itself adds; those while the reader looks are
beside them. The figures of docs/stack-readers.md are this script's.

    .venv/bin/python -m bench.standstill
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.locate.examiner import READERS
from linnix_ls.locate.progress import watch_memory

N_ROUNDS = 15

_PYTHON = """
import mmap, sys, threading, time
n_threads, depth = map(int, sys.argv[1:])
def wait(depth):
    numbers, text = list(range(50)), "x" * 100
    if depth:
        return wait(depth - 1)
    time.sleep(600)
for _ in range(n_threads):
    threading.Thread(target=wait, args=(depth,), daemon=True).start()
def spin():
    file = open("gap", "r+b")
    note = mmap.mmap(file.fileno(), 8)
    last = time.monotonic_ns()
    while True:
        now = time.monotonic_ns()
        if now - last > int.from_bytes(note[:8], "little"):
            note[:8] = (now - last).to_bytes(8, "little")
        last = now
spin()
"""
_NODE = """
const fs = require('fs');
const file = fs.openSync('gap', 'r+');
function spin() {
  let last = process.hrtime.bigint();
  for (;;) {
    const now = process.hrtime.bigint();
    if (now - last > 500000n) {
      const gap = Buffer.alloc(8), known = Buffer.alloc(8);
      fs.readSync(file, known, 0, 8, 0);
      gap.writeBigUInt64LE(now - last);
      if (now - last > known.readBigUInt64LE()) fs.writeSync(file, gap, 0, 8, 0);
      last = process.hrtime.bigint();
    } else last = now;
  }
}
spin();
"""
_JAVA = """
import java.nio.*;
import java.nio.channels.FileChannel;
import java.nio.file.*;
class Gaps {
    public static void main(String[] args) throws Exception {
        MappedByteBuffer note = FileChannel.open(Path.of("gap"), StandardOpenOption.READ,
            StandardOpenOption.WRITE).map(FileChannel.MapMode.READ_WRITE, 0, 8);
        note.order(ByteOrder.LITTLE_ENDIAN);
        long last = System.nanoTime();
        for (;;) {
            long now = System.nanoTime();
            if (now - last > note.getLong(0)) note.putLong(0, now - last);
            last = now;
        }
    }
}
"""
_PERL = """
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
open my $file, '+<', 'gap'; binmode $file;
sub spin {
    my $last = clock_gettime(CLOCK_MONOTONIC);
    while (1) {
        my $now = clock_gettime(CLOCK_MONOTONIC);
        if ($now - $last > 0.0002) {
            my $known; sysseek $file, 0, 0; sysread $file, $known, 8;
            my $gap = int(($now - $last) * 1e9);
            if ($gap > unpack 'Q', $known) { sysseek $file, 0, 0; syswrite $file, pack 'Q', $gap; }
            $now = clock_gettime(CLOCK_MONOTONIC);
        }
        $last = $now;
    }
}
spin();
"""
_BASH = r"""
spin() {
    local last=${EPOCHREALTIME/./} now
    while :; do
        now=${EPOCHREALTIME/./}
        if ((now - last > 300)); then
            read -r known < text
            ((now - last > known)) && echo $((now - last)) > text
            now=${EPOCHREALTIME/./}
        fi
        last=$now
    done
}
spin
"""
_C = """
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
static long now_ns(void) {
    struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000 + t.tv_nsec;
}
int main(void) {
    volatile long *note = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, open("gap", O_RDWR), 0);
    for (long last = now_ns();;) {
        long now = now_ns();
        if (now - last > *note) *note = now - last;
        last = now;
    }
}
"""
_FILES = {"gaps.py": _PYTHON, "gaps.js": _NODE, "Gaps.java": _JAVA, "gaps.pl": _PERL,
          "gaps.sh": _BASH, "gaps.c": _C}  # fmt: skip
_SUBJECTS: dict[str, tuple[str, ...]] = {
    "python": (sys.executable, "-S", "gaps.py", "0", "0"),
    "python, 10 threads of 10 frames": (sys.executable, "-S", "gaps.py", "10", "8"),
    "python, 200 threads of 7 frames": (sys.executable, "-S", "gaps.py", "200", "5"),
    "node": ("node", "gaps.js"),
    "java": ("java", "Gaps.java"),
    "bash": ("bash", "gaps.sh"),
    "perl": ("perl", "gaps.pl"),
    "native, its memory": ("./gaps",),
}


def _take_gap_ms(folder: Path) -> float:
    """The largest gap since the last time it was asked for."""
    text, gap = folder / "text", folder / "gap"
    found_ns = int.from_bytes(gap.read_bytes(), "little") + int(text.read_text() or 0) * 1000
    with gap.open("r+b") as file:
        file.write(bytes(8))
    text.write_text("0\n")
    return found_ns / 1e6


async def _look(pid: int) -> None:
    stat = procfs.read_stat(pid)
    assert stat is not None
    facts = ProcessFacts(
        stat.key, procfs.read_argv(pid), procfs.read_exe(pid), procfs.read_cwd(pid)
    )
    if os.path.basename(facts.argv[0]) == "gaps":
        await asyncio.to_thread(watch_memory, pid)
        return
    reader = next(reader for reader in READERS if reader.recognises(facts))
    reading = await reader.read(facts, n_looks=2, interval_s=0.05)
    assert reading.stacks, reading


async def _measure(folder: Path, pid: int) -> tuple[list[float], list[float]]:
    await asyncio.sleep(3)
    await _look(pid)
    quiet, looked_at = [], []
    for _ in range(N_ROUNDS):
        _take_gap_ms(folder)
        began = time.monotonic()
        await _look(pid)
        looked_at.append(_take_gap_ms(folder))
        await asyncio.sleep(time.monotonic() - began)
        quiet.append(_take_gap_ms(folder))
    return quiet, looked_at


def main() -> None:
    print("| subject | longest gap, nobody looks (median) | two looks: median | worst |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in _FILES.items():
            (folder / file).write_text(text)
        subprocess.run(["cc", "-O1", "-o", "gaps", "gaps.c"], cwd=folder, check=True)
        for subject, argv in _SUBJECTS.items():
            (folder / "gap").write_bytes(bytes(8))
            (folder / "text").write_text("0\n")
            # Before all others, as far as we may: what is measured is not the scheduler.
            process = subprocess.Popen(["nice", "-n", "-15", *argv], cwd=folder)
            try:
                quiet, looked_at = asyncio.run(_measure(folder, process.pid))
            finally:
                process.kill()
                process.wait()
            print(
                f"| {subject} | {statistics.median(quiet):.2f} ms"
                f" | {statistics.median(looked_at):.2f} ms | {max(looked_at):.2f} ms |",
                flush=True,
            )


if __name__ == "__main__":
    main()
