"""jest, vitest, mocha and node --test. Paths and stacks are those of real runs."""

import pytest

from linnix_ls.locate.runners.base import Scope
from linnix_ls.locate.runners.javascript import JavaScriptRunner
from tests.locate.runners.sightings import found_by, process, stack

RUNNER = JavaScriptRunner()
SPEC = """\
const { drain } = require('../pump');

describe('pump', () => {
  it('starts', () => {});
  it("drains, isn't stuck", async () => {
    const found = /x/.test('y');
    drain([1], () => {
      again();
    });
  });
  test.each([[1, 2], [3, 4]])('adds %i', (n) => {
    drain([n]);
  });
  beforeEach(() => {
    drain([0]);
  });
});
test(`alone`, function () { drain([1]); });
test('with subtests', async (t) => {
  await t.test('one', () => {
    drain([1]);
  });
});
"""
MODULES = "/ws/node_modules"
BELOW = {
    "mocha": ("callFn", f"{MODULES}/mocha/lib/runnable.js", False),
    "jest": ("_callCircusTest", f"{MODULES}/jest-circus/build/jestAdapterInit.js", False),
    "vitest": ("run", f"{MODULES}/@vitest/runner/dist/chunk-artifact.js", False),
}


@pytest.fixture
def spec(tmp_path):
    folder = tmp_path / "test"
    folder.mkdir()
    (folder / "pump.spec.js").write_text(SPEC)
    return folder / "pump.spec.js"


def node(command, **of):
    return process(command, exe="/usr/bin/node", **of)


@pytest.mark.parametrize(
    ("line", "titles", "line_of_test"),
    [
        (7, ["pump", "drains, isn't stuck"], 5),
        (8, ["pump", "drains, isn't stuck"], 5),
        (6, ["pump", "drains, isn't stuck"], 5),
        (12, ["pump", "adds %i"], 11),
        (18, ["alone"], 18),
        (21, ["with subtests", "one"], 20),
        (15, [], 1),
        (1, [], 1),
    ],
)
def test_the_titles_around_a_line_are_the_test(spec, line, titles, line_of_test):
    on = [stack(("drain", spec.parent / "pump.js", False), ("", spec, True, line), BELOW["mocha"])]
    found = RUNNER.find(node("node x/.bin/mocha test", cwd=spec.parents[1], stacks=on), [])
    assert found.id == " > ".join(["test/pump.spec.js", *titles])
    assert (found.place.path, found.place.line) == (str(spec), line_of_test)
    assert found.scope is (Scope.TEST if titles else Scope.FILE)


@pytest.mark.parametrize(
    ("command", "below", "joint"),
    [
        ("node /ws/node_modules/.bin/jest test/pump.spec.js", "jest", " › "),
        (f"/usr/bin/node {MODULES}/jest-worker/build/workers/processChild.js", "jest", " › "),
        ("node /ws/node_modules/.bin/mocha", "mocha", " > "),
        (f"/usr/bin/node {MODULES}/vitest/dist/workers/forks.js", "vitest", " > "),
    ],
)
def test_each_runner_has_its_own_notation(spec, command, below, joint):
    on = [stack(("", spec, True, 7), BELOW[below])]
    found = found_by(RUNNER, node(command, cwd=spec.parents[1], stacks=on))
    assert found == joint.join(["test/pump.spec.js", "pump", "drains, isn't stuck"])


def test_of_vitest_whose_frames_have_no_lines_the_file_is_known(spec):
    on = [stack(("", spec, False, None), BELOW["vitest"])]
    command = f"/usr/bin/node --conditions node {MODULES}/vitest/dist/workers/forks.js"
    found = RUNNER.find(node(command, cwd=spec.parents[1], stacks=on), [])
    assert (found.id, found.scope) == ("test/pump.spec.js", Scope.FILE)


def test_node_runs_each_file_in_a_process_of_its_own(spec):
    context = {"NODE_TEST_CONTEXT": "child-v8"}
    child = node(f"/usr/bin/node {spec}", cwd=spec.parents[1], variables=context)
    parent = node("node --test", cwd=spec.parents[1])
    assert found_by(RUNNER, child, parent) == "test/pump.spec.js"
    # What the test starts inherits the variable, but is no test.
    assert found_by(RUNNER, child, child, parent) is None
    assert found_by(RUNNER, parent) is None


def test_a_file_that_imports_nodes_test_is_one_by_itself(spec):
    spec.write_text("import { test } from 'node:test';\n")
    assert found_by(RUNNER, node(f"node {spec}", cwd=spec.parent)) == "pump.spec.js"


@pytest.mark.parametrize("command", ["node server.js", "node --inspect x.js jester/app.js", "node"])
def test_a_program_that_tests_nothing_has_no_test(spec, command):
    on = [stack(("", spec, True, 7))]
    assert found_by(RUNNER, node(command, cwd=spec.parents[1], stacks=on)) is None


def test_another_language_is_not_asked(spec):
    assert found_by(RUNNER, process("python3 jest", exe="/usr/bin/python3", cwd="/")) is None


@pytest.mark.parametrize(
    "source", ["it('" * 5_000, "it(\n" * 5_000, "it.each([" + "]) (" * 5_000 + "'x', () => {})", ""]
)
def test_sources_that_are_none_are_borne(spec, source):
    spec.write_text(source)
    on = [stack(("", spec, True, 1), BELOW["jest"])]
    found = found_by(RUNNER, node("node jest", cwd=spec.parents[1], stacks=on))
    assert found.startswith("test/pump.spec.js")
