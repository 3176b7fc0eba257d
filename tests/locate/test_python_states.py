"""What the variables of a Python program tell: its state, its rounds, what ends its loop."""

import json
import os

import pytest

from linnix_ls.core.examination import StackFrame, StackSnapshot
from linnix_ls.locate import python
from linnix_ls.locate.python import PythonReader, interpreter_share
from tests.locate.programs import facts_of
from tests.locate.specimens import facts, read, running_python

SOURCE = """\
LIMIT = 9
state = {}


def cut(rest, width, state):
    while len(rest) > width:
        work(rest)
    while settled(rest):
        work(rest)
    while not changed:
        work(rest)
    for part in rest:
        work(part)
    while len(rest) > LIMIT:
        work(rest)
    while rest:
        while width:
            work(width)


def main():
    while True:
        cut("abc", 1, {})
"""
AT = {
    text: number
    for number, text in enumerate(map(str.strip, SOURCE.splitlines()), start=1)
    if text.startswith(("while", "for", "cut("))
}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "cut.py"
    path.write_text(SOURCE)
    return path


def raw_frame(script, loop="while len(rest) > width:", name="cut", **local):
    """One frame, a line further in than the loop, as py-spy writes it."""
    return {
        "name": name,
        "filename": str(script),
        "line": AT[loop] + (not loop.startswith("cut")),
        "locals": [{"name": n, "repr": value} for n, value in local.items()],
    }


def look(script, *frames):
    raw = json.dumps([{"frames": frames, "os_thread_id": 7, "owns_gil": True}]).encode()
    [snapshot], failure = python._snapshots(raw, b"", facts("python3 cut.py", cwd=script.parent))
    assert failure is None
    return snapshot


def condition(script, loop="while len(rest) > width:", **local):
    return look(script, raw_frame(script, loop, **local)).condition_hash


TEXT = '"some words of a text"'


# -- what ends a loop ----------------------------------------------------------------------------


def test_the_same_values_are_the_same_condition(script):
    one = condition(script, rest=TEXT, width="3", n="1")
    assert one is not None
    assert condition(script, rest=TEXT, width="3", n="2") == one
    assert condition(script, rest=TEXT, width="4", n="1") != one
    assert condition(script, rest='"other words of a text"', width="3", n="1") != one


@pytest.mark.parametrize(
    "value",
    [
        "<Text at 0x7f0000000000>",
        '["a word", <Text at 0x7f0000000000>]',
        "<cell at 0x7f0000000000>",
        '"a long text of which the beginning is shown..."',
        "[0, 1, 2, 3, 4, 5, 6, 7, ...]",
        '{"first": 1, "second": 2, ...}',
        "?",
        "",
        "+bigint",
    ],
)
def test_a_value_that_is_not_shown_whole_tells_nothing(script, value):
    """Another object may come to be at the same address, and a long text end in another way."""
    assert condition(script, rest=value, width="3") is None


def test_a_text_may_look_like_an_object(script):
    assert condition(script, rest='"<p>some words</p>"', width="3") is not None


@pytest.mark.parametrize("rest", ['"a"', "True", "None", "[]", "12"])
def test_flags_and_small_counts_come_back_in_any_algorithm(script, rest):
    """One that repeats until nothing changes."""
    assert condition(script, rest=rest, width="3") is None


def test_what_is_not_on_the_stack_decides_unseen(script):
    assert condition(script, rest=TEXT) is None
    assert condition(script, "while settled(rest):", rest=TEXT) is None
    assert condition(script, "while not changed:", rest=TEXT) is None


def test_a_constant_of_the_module_decides_the_same_each_time(script):
    assert condition(script, "while len(rest) > LIMIT:", rest=TEXT) is not None


def test_a_loop_through_something_has_no_condition(script):
    assert condition(script, "for part in rest:", rest=TEXT) is None


def test_the_innermost_loops_condition_counts(script):
    assert condition(script, "while width:", rest=TEXT, width="3") is None


def test_a_function_in_a_library_is_not_asked(script):
    library = {"name": "f", "filename": "/usr/lib/python3/x.py", "line": 1, "locals": []}
    found = look(script, library, raw_frame(script, rest=TEXT, width="3")).condition_hash
    assert found == condition(script, rest=TEXT, width="3")


# -- rounds --------------------------------------------------------------------------------------


def rounds(script, *, inner="1", outer="1"):
    return look(
        script,
        raw_frame(script, rest=TEXT, width="3", n=inner),
        raw_frame(script, 'cut("abc", 1, {})', "main", n=outer),
    ).round_hashes


def test_each_loop_has_its_round_outermost_first(script):
    one = rounds(script)
    assert len(one) == 2
    assert rounds(script, inner="2")[0] == one[0]
    assert rounds(script, inner="2")[1] != one[1]
    assert rounds(script, outer="2")[0] != one[0]
    assert rounds(script, outer="2")[1] != one[1]


def test_frames_outside_of_loops_have_no_rounds(script):
    AT["LIMIT = 9"] = 0
    outside = raw_frame(script, "LIMIT = 9", "<module>", n="1")
    assert look(script, outside).round_hashes == ()


def test_of_deep_recursion_some_rounds_are_kept(script):
    deep = [raw_frame(script, rest=TEXT, width=str(n)) for n in range(60)]
    assert len(look(script, *deep).round_hashes) == python.MAX_ROUND_HASHES


def test_without_variables_there_are_neither_states_nor_rounds_nor_conditions(script):
    frame = raw_frame(script)
    del frame["locals"]
    found = look(script, frame)
    assert (found.state_hash, found.condition_hash, found.round_hashes) == (None, None, ())


# -- the interpreter -----------------------------------------------------------------------------

needs_right = pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root")


def test_of_what_is_no_python_no_share_is_known():
    assert interpreter_share(facts("python3 x.py"), [(1, 2)]) is None


@pytest.mark.e2e
@needs_right
def test_samples_in_the_loop_that_executes_are_told_from_others(tmp_path):
    script = tmp_path / "x.py"
    script.write_text("print('ready', flush=True)\nwhile True:\n    pass\n")
    with running_python(script) as pid:
        of = facts_of(pid)
        span = next(
            found[python._INTERPRETER]
            for mapped in python.mappings(pid)
            if mapped.offset == 0
            and os.path.basename(mapped.path).startswith("python")
            and (found := python.symbol_spans(pid, mapped.path, (python._INTERPRETER,)))
        )
        inside, outside = (span[0] + 8, 1), (span[1], span[0])
        assert interpreter_share(of, [inside, inside, outside, ()]) == pytest.approx(2 / 3)
        assert interpreter_share(of, []) is None
        assert interpreter_share(of, [()]) is None


# -- real programs -------------------------------------------------------------------------------

WRAP = """\
def wrap(rest, width):
    lines = 0
    print("ready", flush=True)
    while len(rest) > width:
        lines += 1
        rest = " ".join(rest.split(" "))
        if lines < 0:
            width = 99
    return rest


wrap("a word-that-is-longer-than-the-line", 20)
"""


@pytest.mark.e2e
@needs_right
def test_a_loop_that_counts_and_gets_nowhere_has_the_same_condition(tmp_path):
    script = tmp_path / "wrap.py"
    script.write_text(WRAP)
    with running_python(script) as pid:
        stacks = read(PythonReader(), facts_of(pid), n_looks=6).stacks
    assert len({stack.state_hash for stack in stacks}) >= 5
    assert {stack.condition_hash for stack in stacks} == {stacks[0].condition_hash}
    assert stacks[0].condition_hash is not None
    assert {stack.frames[0].loops for stack in stacks} == {((4, 8),)}


@pytest.mark.e2e
@needs_right
def test_a_work_list_of_objects_tells_no_condition(tmp_path):
    """Where they are may come back, what they are does not."""
    script = tmp_path / "work.py"
    script.write_text(
        "class Task:\n    def __init__(self, n):\n        self.n = n\n\n\n"
        "def work(pending):\n    print('ready', flush=True)\n    while pending:\n"
        "        task = pending.pop()\n        pending.append(Task(task.n + 1))\n\n\n"
        "work([Task(0)])\n"
    )
    with running_python(script) as pid:
        stacks = read(PythonReader(), facts_of(pid), n_looks=6).stacks
    assert {stack.condition_hash for stack in stacks} == {None}


@pytest.mark.e2e
@needs_right
def test_a_loop_begins_each_round_alike_whatever_it_calls(tmp_path):
    script = tmp_path / "again.py"
    script.write_text(
        "def step(n):\n    total = 0\n    for i in range(n):\n        total += i\n"
        "    return total\n"
        "\n\ndef main():\n    print('ready', flush=True)\n    while True:\n        step(20_000)\n"
        "\n\nmain()\n"
    )
    with running_python(script) as pid:
        stacks = read(PythonReader(), facts_of(pid), n_looks=8).stacks
    assert len({stack.state_hash for stack in stacks}) > 4
    assert len({stack.round_hashes[0] for stack in stacks if stack.round_hashes}) == 1


def snapshot(*, state=None, rounds=(), condition=None, functions=("work",), is_user=True):
    frames = tuple(
        StackFrame(name, "/work/asyncio/base_events.py", 1, is_user) for name in functions
    )
    return StackSnapshot(1, frames, state_hash=state, round_hashes=rounds, condition_hash=condition)


def test_who_was_never_the_same_in_five_looks_moves_on():
    looks = [snapshot(state=n, rounds=(n, -n), condition=n) for n in range(1, 6)]
    assert python._moves_on(looks)
    assert not python._moves_on(looks[:4])


@pytest.mark.parametrize(
    "again", [{"state": 1}, {"state": 6, "rounds": (1,)}, {"state": 6, "condition": 1}]
)
def test_who_came_back_to_anything_is_looked_at_further(again):
    looks = [snapshot(state=n, rounds=(n,), condition=n) for n in range(1, 6)]
    assert not python._moves_on([*looks, snapshot(**again)])


def test_who_has_left_the_users_code_moves_on_unless_an_event_loop_calls_it_again():
    assert python._moves_on([snapshot(state=1), *[snapshot(is_user=False)] * 3])
    assert not python._moves_on([snapshot(state=1), *[snapshot(is_user=False)] * 2])
    between_tasks = snapshot(functions=("select", "_run_once"), is_user=False)
    assert not python._moves_on([snapshot(state=1), *[between_tasks] * 3])
