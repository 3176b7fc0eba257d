"""Which test a process belongs to."""

import subprocess

import pytest

from linnix_ls.core.examination import StackFrame, StackSnapshot
from linnix_ls.locate import testcase
from tests.locate.specimens import facts, running

place_of = testcase.place_of


def stack(*frames):
    return StackSnapshot(1, tuple(StackFrame(f, p, 3, is_user) for f, p, is_user in frames))


# -- on the stack --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "test"),
    [
        ([("drain", "/ws/pump.py", True), ("test_drain", "/ws/tests/test_pump.py", True)],
         "tests/test_pump.py::test_drain"),
        ([("TestPump.test_drain", "/ws/test_pump.py", True)], "test_pump.py::TestPump::test_drain"),
        ([("test_drain", "/ws/pump_test.py", True)], "pump_test.py::test_drain"),
        ([("test_helper", "/ws/helpers.py", True)], None),
        ([("helper", "/ws/test_pump.py", True)], None),
        ([("test_x", "/usr/lib/python3/dist-packages/test_x.py", False)], None),
        ([("test_in", "/ws/test_a.py", True), ("test_out", "/ws/test_a.py", True)],
         "test_a.py::test_out"),
        ([], None),
    ],
)  # fmt: skip
def test_the_outermost_test_function_is_the_test(frames, test):
    assert testcase.test_on_stack([stack(*frames)], "/ws") == test


def test_without_a_root_folder_the_path_is_whole():
    on = [stack(("test_a", "/ws/test_a.py", True))]
    assert testcase.test_on_stack(on, None) == "/ws/test_a.py::test_a"


# -- in the environment --------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("tests/test_a.py::test_b (call)", "tests/test_a.py::test_b"),
        ("tests/test_a.py::test_b (setup)", "tests/test_a.py::test_b"),
        ("t.py::TestX::test_b[1-a (b)] (teardown)", "t.py::TestX::test_b[1-a (b)]"),
        ("t.py::test_b", "t.py::test_b"),
        ("straße.py::test_ä[ö] (call)", "straße.py::test_ä[ö]"),
        ("t.py::test_b\x1b[2J\n (call)", "t.py::test_b\x1b[2J\n"),
        ("", None),
    ],
)
def test_pytest_names_it_to_its_children(value, test):
    environment = {"A": "1", "PYTEST_CURRENT_TEST": value, "Z": "2"}
    with running("sh", "-c", "echo ready; sleep 60", env=environment | {"PATH": "/bin"}) as pid:
        assert testcase.test_in_environment(pid) == test


@pytest.mark.e2e
def test_another_variable_with_such_a_value_is_not_it():
    environment = {"NOT_PYTEST_CURRENT_TEST": "x", "PATH": "/bin"}
    with running("sh", "-c", "echo ready; sleep 60", env=environment) as pid:
        assert testcase.test_in_environment(pid) is None


def test_a_process_that_has_gone_has_no_test():
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert testcase.test_in_environment(gone.pid) is None


# -- where it is written -------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "my suite" / "tests"
    folder.mkdir(parents=True)
    (folder / "test_pump.py").write_text(
        "import x\n\n\nclass TestPump:\n    def test_drain(self):\n        pass\n\n\n"
        "async def test_drain_slowly():\n    pass\n\n\ndef test_a_(): pass\ndef test_a(): pass\n"
    )
    return folder.parent


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ("tests/test_pump.py::TestPump::test_drain", 5),
        ("tests/test_pump.py::TestPump::test_drain[1-(x]", 5),
        ("tests/test_pump.py::test_drain_slowly", 9),
        ("tests/test_pump.py::test_a", 14),
        ("tests/test_pump.py::test_gone", None),
        ("tests/test_gone.py::test_a", None),
        ("tests/test_pump.py", None),
        ("", None),
        ("::", None),
        ("tests/test_pump.py::test_(", None),
    ],
)
def test_it_is_found_in_its_file(suite, test, line):
    place = place_of(test, [facts(cwd=suite)])
    assert (place and place.line) == line
    if place:
        assert place.path == str(suite / "tests/test_pump.py")
        assert place.role == "test"


def test_its_path_counts_from_a_folder_above_the_process(suite):
    lineage = [facts(cwd="/nowhere"), facts(cwd=suite / "tests" / "deeper" / "still")]
    assert place_of("tests/test_pump.py::test_a", lineage).line == 14


def test_where_no_folder_is_known_it_is_not_found(suite):
    lineage = [facts(cwd="/nowhere")]
    assert place_of("tests/test_pump.py::test_a", lineage) is None
    assert place_of("tests/test_pump.py::test_a", []) is None
