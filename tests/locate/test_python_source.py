"""What the syntax of a Python file tells about loops: what ends them, what they go through."""

import pytest

from linnix_ls.locate.source import python_source


@pytest.fixture
def source_of(tmp_path):
    def parse(text):
        path = tmp_path / "x.py"
        path.write_text(text)
        return python_source(str(path))

    return parse


def loop(head, *body):
    return "".join([f"{head}\n", *(f"    {line}\n" for line in body or ("work()",))])


# -- what decides when it ends -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("while len(rest) > width:", {"rest", "width"}),
        ("while not done:", {"done"}),
        ("while at < len(text) and text[at] != mark:", {"at", "text", "mark"}),
        ("while job.state != last:", {"job", "last"}),
        ("while parse(rest):", {"parse", "rest"}),
        ("while sorted(a) != list(b):", {"a", "b"}),
        ("while True:", set()),
        ("while 1:", set()),
        ("for rest in queue:", set()),
    ],
)
def test_the_names_in_a_condition_decide(source_of, head, names):
    assert source_of(loop(head)).condition_of(2) == names


@pytest.mark.parametrize(
    "exits",
    ["break", "return", "raise ValueError", "yield rest", "x = yield from rest"],
)
def test_where_something_else_may_end_it_the_condition_does_not_decide(source_of, exits):
    text = "def f():\n" + loop("    while rest:", "    if rest == 1:", f"        {exits}")
    assert source_of(text).condition_of(3) == set()


def test_a_break_of_a_loop_further_in_ends_that_one_only(source_of):
    text = loop(
        "while rest:", "for part in rest:", "    if part:", "        break", "rest = rest[1:]"
    )
    assert source_of(text).condition_of(5) == {"rest"}


def test_a_break_behind_a_loop_further_in_ends_the_outer(source_of):
    """In its else, which runs when that was not left."""
    text = loop(
        "while rest:", "for part in rest:", "    work(part)", "else:", "    break", "more()"
    )
    assert source_of(text).condition_of(6) == set()


def test_what_a_function_defined_in_it_returns_ends_nothing(source_of):
    text = loop("while rest:", "def cut():", "    return rest[1:]", "rest = cut()")
    assert source_of(text).condition_of(4) == {"rest"}


def test_the_innermost_loop_decides(source_of):
    text = loop("while outer:", "while inner:", "    work()", "more()")
    assert source_of(text).condition_of(3) == {"inner"}
    assert source_of(text).condition_of(4) == {"outer"}
    assert source_of(loop("while outer:", "for x in y:", "    work()")).condition_of(3) == set()
    assert source_of("work()\n").condition_of(1) == set()


# -- the clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "is_timed"),
    [
        ("while time.monotonic() < deadline:", True),
        ("while perf_counter() - began < 2.5:", True),
        ("while time.time_ns() < end:", True),
        ("while datetime.now() < end:", True),
        ("while not done and time.monotonic() < deadline:", False),  # a poll with a deadline
        ("while not done:", False),
        ("while time.sleep(1) < 2:", False),
        ("while True:", False),
        ("for n in range(time.time()):", False),
    ],
)
def test_a_loop_that_the_clock_alone_ends_is_timed(source_of, head, is_timed):
    assert source_of(loop(head)).is_timed(2) is is_timed


def test_a_loop_that_may_end_before_its_time_is_not_timed(source_of):
    head = "while time.monotonic() < deadline:"
    assert not source_of(loop(head, "if done:", "    break")).is_timed(2)
    assert source_of(loop(head, "for x in data:", "    if x:", "        break")).is_timed(1)
    # Within it another loop may do anything.
    assert not source_of(loop(head, "for x in data:", "    work(x)")).is_timed(3)


# -- what is handed on ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_fed"),
    [
        (loop("for case in cases:", "run(command, input=case)"), True),
        (loop("for name, case in cases:", "run(command, input=case.text)"), True),
        (loop("for path in sorted(folder):", "run([command, str(path)])"), True),
        (loop("async def f():", "async for case in cases:", "    run(case)"), True),
        ("x = 0\nresults = [run(case) for case in cases]\n", True),
        (loop("for case in cases:", "run(command)"), False),
        (loop("for attempt in range(9):", "run(command, attempt)"), False),
        (loop("for _ in range(9):", "run(command)"), False),
        (loop("for i in count():", "run(command, i)"), False),
        (loop("while True:", "run(command)"), False),
        (loop("for case in cases:", "x = case"), False),
        (loop("for case in cases:", "work()") + "run(case)\n", False),
    ],
)
def test_a_call_is_fed_what_a_loop_goes_through(source_of, text, is_fed):
    source = source_of(text)
    lines = [n for n, at in enumerate(text.splitlines(), 1) if "run(" in at or "x = case" in at]
    assert source.is_fed((lines or [2])[0]) is is_fed


# -- calls ---------------------------------------------------------------------------------------


def test_the_calls_of_a_line_and_of_its_loops_condition_are_named(source_of):
    source = source_of(loop("while not lock.acquire(False):", "time.sleep(pause())", "n += 1"))
    assert source.calls_at(2) == ("sleep", "pause", "acquire")
    assert source.calls_at(3) == ("acquire",)


def test_a_call_without_a_name_has_none(source_of):
    assert source_of("table[0]()\nf()()\n").calls_at(1) == ()
    assert source_of("f()()\n").calls_at(1) == ("f",)


def test_of_many_calls_a_few_are_named(source_of):
    source = source_of("+".join(f"f{n}()" for n in range(40)) + "\n")
    assert len(source.calls_at(1)) == 6


def test_a_deep_loop_is_no_trouble(source_of):
    source = source_of("while x:\n    y = " + "+".join(["1"] * 900) + "\n")
    assert source is None or source.condition_of(2) == {"x"}
