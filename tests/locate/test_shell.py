import asyncio
import os
import subprocess
from dataclasses import replace

import pytest

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate.shell import ShellReader
from tests.locate.programs import (
    Folder,
    facts_of,
    generations_below,
    innermost,
    needs,
    read_until,
    user_frames,
)

LIBRARY = """\
# Functions for others.

await_file() {
    echo "waiting"
    until [[ -e $1 ]]; do
        :
    done
}

nap() {
    local n=$1

    sleep "$n"
}
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_bash_the_loop_is_found_in_a_function_of_a_sourced_file(folder):
    folder.write("lib/waiting.sh", LIBRARY)
    folder.write("run.sh", 'cd lib\n. ./waiting.sh\nawait_file "$PWD/never"\n')
    with folder.running("bash", "run.sh") as process:
        reading = await read_until(
            ShellReader(), process.pid, lambda r: innermost(r) and innermost(r).loops, n_looks=6
        )
    assert innermost(reading).loops == ((5, 7),)
    assert user_frames(reading)[0][:2] == ("await_file", "waiting.sh")
    assert user_frames(reading)[1] == ("main", "run.sh", 3)


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_bash_that_comes_back_to_its_variables_is_in_one_state(folder):
    folder.write("run.sh", "n=1\nwhile true; do\n  [[ $n = 2 ]]\ndone\n")
    with folder.running("bash", "run.sh") as process:
        reading = await read_until(ShellReader(), process.pid, innermost, n_looks=8)
    assert len({stack.state_hash for stack in reading.stacks}) == 1


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_bash_that_counts_is_in_a_new_state_each_time(folder):
    folder.write("run.sh", "declare -A at\nwhile true; do\n  at[n]=$(( at[n] + 1 ))\ndone\n")
    with folder.running("bash", "run.sh") as process:
        reading = await read_until(ShellReader(), process.pid, innermost, n_looks=6)
    states = [stack.state_hash for stack in reading.stacks]
    assert len(set(states)) == len(states)


@pytest.mark.e2e
@pytest.mark.asyncio
@pytest.mark.parametrize("shell", ["bash", pytest.param("dash", marks=needs("dash"))])
async def test_while_a_program_runs_the_line_is_the_one_that_started_it(folder, shell):
    folder.write("lib.sh", LIBRARY.replace("[[ -e $1 ]]", "[ -e $1 ]").replace("local ", ""))
    folder.write("run.sh", "#!/bin/sh\n. ./lib.sh\n\nnap 30\n")
    with folder.running(shell, "run.sh") as process:
        reading = await read_until(
            ShellReader(), process.pid, lambda r: user_frames(r)[:1] == [("nap", "lib.sh", 13)]
        )
    assert not reading.stacks[-1].is_running


@needs("dash")
@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_dash_the_loop_is_found_in_a_sourced_file(folder):
    folder.write("lib.sh", LIBRARY.replace("[[ -e $1 ]]", "[ -e $1 ]"))
    folder.write("run.sh", '#!/bin/sh\n\ndir=$(dirname "$0")\n. "$dir/lib.sh"\nawait_file never\n')
    with folder.running("dash", "run.sh") as process:
        reading = await read_until(
            ShellReader(), process.pid, lambda r: innermost(r) and innermost(r).loops
        )
    assert (innermost(reading).function, innermost(reading).loops) == ("await_file", ((5, 7),))


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_function_that_starts_itself_in_the_background_is_found_at_that_line(folder):
    source = "walk() {\n  (( $1 > 3 )) && sleep 30\n  walk $(( $1 + 1 )) &\n  wait\n}\nwalk 0\n"
    folder.write("run.sh", source)
    with folder.running("bash", "run.sh") as process:
        pid = await generations_below(process.pid, 2)
        reading = await read_until(ShellReader(), pid, starts_itself)
    assert (reading.hints[0].line, reading.hints[0].function) == (3, "walk")


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_a_program_that_finds_itself_under_the_name_of_another_is_found_at_that_line(folder):
    folder.write(
        "bin/cc",
        '#!/bin/bash\nN=$(( ${N:-0} + 1 ))\nexport N\n[ "$N" -gt 5 ] && sleep 30\n\n'
        'cc -Wall "$@"\necho done\n',
    )
    os.chmod(folder.path / "bin/cc", 0o755)
    path = f"{folder.path}/bin:{os.environ['PATH']}"
    with folder.running("bin/cc", "-c", "x.c", env={"PATH": path}) as process:
        pid = await generations_below(process.pid, 3)
        reading = await read_until(ShellReader(), pid, starts_itself)
    assert (reading.hints[0].path, reading.hints[0].line) == (str(folder.path / "bin/cc"), 6)


@pytest.mark.asyncio
async def test_a_shell_that_has_gone_gives_nothing():
    process = subprocess.Popen(["true"])
    process.wait()
    facts = ProcessFacts(
        ProcessKey(process.pid, 1), ("bash", "run.sh"), exe="/bin/bash", cwd="/nowhere"
    )
    reading = await ShellReader().read(facts, n_looks=3, interval_s=0)
    assert reading.stacks == ()


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_other_shells_the_children_tell_the_line(folder):
    folder.write("run.sh", 'echo begin\n\nsleep "31"\necho end\n')
    with folder.running("bash", "run.sh") as process:
        child = await generations_below(process.pid, 1)
        # Forked, and not yet what it becomes.
        while procfs.read_stat(child).comm != "sleep":  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.01)
        facts = replace(facts_of(process.pid), exe=None)
        reading = await ShellReader().read(facts, n_looks=1, interval_s=0)
    assert (reading.hints[0].line, reading.stacks) == (3, ())


@pytest.mark.e2e
@pytest.mark.asyncio
async def test_of_other_shells_the_loop_that_starts_nothing_is_the_one_that_spins(folder):
    folder.write("run.sh", "while sleep 0.01; do break; done\nwhile :; do\n  :\ndone\n")
    with folder.running("bash", "run.sh") as process:
        await read_until(ShellReader(), process.pid, lambda r: at_line(r, 2))
        facts = replace(facts_of(process.pid), exe=None)
        reading = await ShellReader().read(facts, n_looks=1, interval_s=0)
    assert (reading.hints[0].line, reading.hints[0].end_line) == (2, 4)


def at_line(reading, line):
    return innermost(reading) and innermost(reading).line == line


def starts_itself(reading):
    return reading.hints and "itself" in reading.hints[0].reason
