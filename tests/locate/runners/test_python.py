"""pytest and unittest."""

import pytest

from linnix_ls.locate.runners.base import Scope
from linnix_ls.locate.runners.python import PytestRunner, UnittestRunner
from tests.locate.runners.sightings import found_by, process, stack

IN_UNITTEST = ("TestCase.run", "/usr/lib/python3.11/unittest/case.py", False)
IN_PYTEST = ("pytest_pyfunc_call", "/venv/site-packages/_pytest/python.py", False)


def pytest_line(test, *cwds):
    lineage = [process(cwd=cwd) for cwd in cwds]
    lineage[0] = process(cwd=cwds[0], variables={"PYTEST_CURRENT_TEST": test})
    found = PytestRunner().find(lineage[0], lineage[1:])
    return found and found.place


# -- pytest: on the stack ------------------------------------------------------------------------


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
        ([("test_a", "/elsewhere/test_a.py", True)], "/elsewhere/test_a.py::test_a"),
        ([("test_a", "/ws/test_a.py", True), IN_UNITTEST, IN_PYTEST], "test_a.py::test_a"),
        ([("test_a", "/ws/test_a.py", True), IN_UNITTEST], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_outermost_test_function_is_the_test(frames, test):
    assert found_by(PytestRunner(), process(cwd="/ws", stacks=[stack(*frames)])) == test


def test_without_a_root_folder_the_path_is_whole():
    on = [stack(("test_a", "/ws/test_a.py", True))]
    assert found_by(PytestRunner(), process(cwd="/", stacks=on)) == "/ws/test_a.py::test_a"


def test_another_thread_may_hold_the_test():
    spinning = stack(("drain", "/ws/pump.py", True))
    waiting = stack(("wait", "/usr/lib/threading.py", False), ("test_a", "/ws/test_a.py", True))
    found = found_by(PytestRunner(), process(cwd="/ws", stacks=[spinning, waiting]))
    assert found == "test_a.py::test_a"


# -- pytest: what it says itself -----------------------------------------------------------------


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
    on = [stack(("test_outer", "/ws/test_a.py", True))] if value else []
    variables = {"PYTEST_CURRENT_TEST": value}
    assert found_by(PytestRunner(), process(variables=variables, stacks=on)) == test


@pytest.mark.parametrize(
    ("command", "test"),
    [
        ("python3 -m pytest -q t/test_a.py::test_b", "t/test_a.py::test_b"),
        ("pytest t/test_a.py::TestX::test_b", "t/test_a.py::TestX::test_b"),
        ("pytest t/test_a.py::test_b t/test_a.py::test_c", None),
        ("pytest --deselect=t/test_a.py::test_b", None),
        ("pytest t", None),
        ("rsync host::module", None),
    ],
)
def test_who_asks_for_one_test_gets_that(command, test):
    assert found_by(PytestRunner(), process(command)) == test


# -- pytest: where it is written -----------------------------------------------------------------


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "my suite" / "tests"
    folder.mkdir(parents=True)
    (folder / "test_pump.py").write_text(
        "import x\n\n\nclass TestPump:\n    def test_drain(self):\n        pass\n\n\n"
        "async def test_drain_slowly():\n    pass\n\n\ndef test_a_(): pass\ndef test_a(): pass\n"
        "class TestOther:\n    @mark\n    def test_drain(self):\n        pass\n"
    )
    (folder / "test_broken.py").write_text("def test_a():\n    pass\n\ndef (\n")
    return folder.parent


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ("tests/test_pump.py::TestPump::test_drain", 5),
        ("tests/test_pump.py::TestOther::test_drain", 17),
        ("tests/test_pump.py::TestHeir::test_drain", 5),
        ("tests/test_pump.py::TestPump::test_drain[1-(x]", 5),
        ("tests/test_pump.py::test_drain_slowly", 9),
        ("tests/test_pump.py::test_a", 14),
        ("tests/test_broken.py::test_a", 1),
        ("tests/test_pump.py::test_gone", None),
        ("tests/test_gone.py::test_a", None),
        ("tests/test_pump.py", None),
        ("::", None),
        ("tests/test_pump.py::test_(", None),
    ],
)
def test_it_is_found_in_its_file(suite, test, line):
    place = pytest_line(test, suite)
    assert (place and place.line) == line
    if place:
        assert place.path.startswith(str(suite / "tests"))
        assert place.role == "test"


def test_its_path_counts_from_a_folder_above_the_process(suite):
    place = pytest_line("tests/test_pump.py::test_a", "/nowhere", suite / "tests/deeper/still")
    assert place.line == 14


def test_where_no_folder_is_known_it_is_not_found(suite):
    assert pytest_line("tests/test_pump.py::test_a", "/nowhere") is None


def test_the_class_is_found_around_a_line_where_the_stack_does_not_say_it(suite):
    path = suite / "tests/test_pump.py"
    on = [stack(("test_drain", path, True, 18))]
    found = PytestRunner().find(process(cwd=suite, stacks=on), [])
    assert (found.id, found.place.line) == ("tests/test_pump.py::TestOther::test_drain", 17)


# -- unittest ------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_pump.py").write_text(
        "import unittest\n\n\nclass PumpTest(unittest.TestCase):\n"
        "    def test_drain(self):\n        drain()\n\n\nclass Bag:\n    pass\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("command", "is_package", "test"),
    [
        ("python3 -m unittest", True, "tests.test_pump.PumpTest.test_drain"),
        ("python3 -m unittest tests.test_pump", False, "tests.test_pump.PumpTest.test_drain"),
        ("python3 -m unittest discover tests", False, "test_pump.PumpTest.test_drain"),
        ("python3 -m unittest discover -s tests", True, "tests.test_pump.PumpTest.test_drain"),
        ("python3 manage.py test", True, "tests.test_pump.PumpTest.test_drain"),
    ],
)
def test_unittest_is_known_by_its_stack(package, command, is_package, test):
    if is_package:
        (package / "tests/__init__.py").touch()
    path = package / "tests/test_pump.py"
    on = [stack(("drain", package / "pump.py", True), ("test_drain", path, True, 6), IN_UNITTEST)]
    found = UnittestRunner().find(process(command, cwd=package, stacks=on), [])
    assert (found.id, found.scope, found.place.line) == (test, Scope.TEST, 5)


def test_a_unittest_class_that_pytest_runs_is_pytests(package):
    path = package / "tests/test_pump.py"
    on = [stack(("test_drain", path, True, 6), IN_UNITTEST, IN_PYTEST)]
    seen = process(cwd=package, stacks=on)
    assert found_by(UnittestRunner(), seen) is None
    assert found_by(PytestRunner(), seen) == "tests/test_pump.py::PumpTest::test_drain"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("tests.test_pump.PumpTest.test_drain", 5),
        ("-v tests.test_pump.PumpTest.test_drain", 5),
        ("tests.test_pump.PumpTest", None),
        ("tests.test_pump", None),
        ("tests.test_pump.PumpTest.test_drain tests.test_pump.PumpTest.test_fill", None),
        ("", None),
    ],
)
def test_unittest_may_be_told_one_test(package, arguments, line):
    seen = process(f"python3 -m unittest {arguments}", cwd=package)
    found = UnittestRunner().find(seen, [])
    assert (found and found.place.line) == line
