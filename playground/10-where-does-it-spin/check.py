"""Lesson 10: a program with functions of random names, one of which spins. It is compiled here, so
that its addresses are known."""

import asyncio
import shutil
import string
from collections import Counter
from pathlib import Path

from elftools.elf.elffile import ELFFile

from linnix_ls.errors import LinnixError
from linnix_ls.playground.lessons import Attempt, Outcome

_SAMPLES_PER_S = 99
_FUNCTION = """
__attribute__((noinline)) void NAME(void)
{
    volatile unsigned long n = 0;

    while (clock() < CPU_MS * (CLOCKS_PER_SEC / 1000))
        for (int i = 0; i < 2000000; i++)
            n += i ^ NUMBER;
}
"""


async def check(attempt: Attempt):
    names = ["spin_" + "".join(attempt.dice.choices(string.ascii_lowercase, k=8)) for _ in range(8)]
    guilty = attempt.dice.choice(names)
    cpu_ms = attempt.dice.randint(500, 800)
    program = await _compiled(attempt, names, guilty, cpu_ms)
    spinner = await attempt.start(program)
    quiet = await attempt.start()
    async with attempt.probe() as probe:
        await asyncio.gather(spinner.run(), quiet.run())
        await probe.read()
    stacks = dict(probe.rows("stacks"))
    samples = [
        (where["pid"], stacks.get(where["stack"], ()), n) for where, n in probe.rows("samples")
    ]
    n_expected = cpu_ms / 1000 * _SAMPLES_PER_S
    n_seen = sum(n for pid, _, n in samples if pid == spinner.pid)
    tops = Counter()
    functions = _functions(program)
    for pid, stack, n in samples:
        if pid == spinner.pid:
            tops[_name(functions, stack[0]) if stack else "no stack"] += n
    if n_seen:
        hint = "only-one" if n_seen < n_expected / 2 else "kernel-stack"
    else:
        hint = "no-pid" if samples else "begin"
    yield Outcome(
        "samples of the spinner",
        n_seen >= n_expected / 2,
        f"about {n_expected:.0f} with pid {spinner.pid}",
        f"{n_seen}, of {sum(n for _, _, n in samples)}",
        hint,
    )
    top, n_top = next(iter(tops.most_common(1)), ("none", 0))
    yield Outcome(
        "its function on top",
        top == guilty and n_top >= 0.8 * n_seen,
        f"{guilty} in at least 80 %",
        f"{top} in {100 * n_top / max(1, n_seen):.0f} %",
        hint,
    )
    n_quiet = sum(n for pid, _, n in samples if pid == quiet.pid)
    yield Outcome(
        "a process that waits",
        bool(samples) and n_quiet <= 2,
        f"next to no samples with pid {quiet.pid}",
        f"{n_quiet}, of {len(samples)} rows",
        hint,
    )


async def _compiled(attempt, names, guilty, cpu_ms):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise LinnixError("this lesson needs a C compiler", fix="apt-get install gcc")
    functions = [
        _FUNCTION.replace("NAME", name).replace("NUMBER", str(number))
        for number, name in enumerate(names)
    ]
    source = attempt.scratch / "spin.c"
    source.write_text(
        f"#include <stdio.h>\n#include <time.h>\n#define CPU_MS {cpu_ms}L\n"
        + "".join(functions)
        + f'int main(void)\n{{\n    {guilty}();\n    puts("null");\n    fflush(stdout);\n'
        "    return getchar();\n}\n",
    )
    program = attempt.scratch / "spin"
    process = await asyncio.create_subprocess_exec(
        compiler, "-O0", "-no-pie", "-o", str(program), str(source)
    )
    if await process.wait():
        raise LinnixError(f"{compiler} cannot compile the lesson's program")
    return program


def _functions(program: Path):
    with open(program, "rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return [
            (symbol["st_value"], symbol["st_size"], symbol.name)
            for symbol in symbols
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_size"]
        ]


def _name(functions, address):
    return next(
        (name for start, size, name in functions if start <= address < start + size),
        "another place",
    )
