import pytest

from linnix_ls.locate.node import NodeReader
from tests.locate.programs import Folder, innermost, needs, read_until, user_frames

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio, needs("node")]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


async def test_a_loop_in_compiled_code_is_found_and_who_called_it(folder):
    folder.write(
        "pump.js",
        """\
class Pump {
  constructor() { this.done = false; }
  step(n) { return (n * 7 + 1) % 1000; }
  drain() {
    let n = 0;
    for (const x of [1, 2]) n += x;
    while (!this.done) {
      n = this.step(n);
    }
    return n;
  }
}
function main() {
  new Pump().drain();
}
setTimeout(main, 10);
""",
    )
    with folder.running("node", "pump.js") as process:
        reading = await read_until(
            NodeReader(), process.pid, lambda r: innermost(r) and innermost(r).loops, n_looks=3
        )
    drain = next(f for f in reading.stacks[-1].frames if f.function == "drain")
    assert drain.loops == ((7, 9),)
    assert user_frames(reading)[-1] == ("main", "pump.js", 14)


async def test_the_line_of_code_in_the_interpreter_is_exact_beyond_other_scripts_too(folder):
    folder.write(
        "build.js",
        """\
// Zeichen, die in UTF-16 zwei Einheiten sind: \U0001f600
const { execSync } = require('child_process');

function build(what) {
  const command = `sleep ${what}`;
  if (what) {

    execSync(command);
  }
}

build(30); build(30);
""",
    )
    with folder.running("node", "build.js") as process:
        reading = await read_until(
            NodeReader(), process.pid, lambda r: user_frames(r)[:1] == [("build", "build.js", 8)]
        )
    assert user_frames(reading)[1:] == [("<anonymous>", "build.js", 12)]


async def test_a_module_that_awaits_without_end_is_found(folder):
    folder.write(
        "wait.mjs",
        """\
import fs from 'node:fs';

export async function waitFor(path) {
  for (;;) {
    if (fs.existsSync(path)) return;
    await null;
  }
}
await waitFor('/nonexistent/file');
""",
    )
    with folder.running("node", "wait.mjs") as process:
        reading = await read_until(
            NodeReader(), process.pid, lambda r: innermost(r) and innermost(r).loops, n_looks=3
        )
    assert innermost(reading).loops == ((4, 7),)


async def test_an_event_loop_that_polls_leads_to_its_callback(folder):
    folder.write(
        "poll.js",
        """\
const store = { values: null };

function ready(callback) {
  const poll = () => {
    if (store.values !== null) return callback();
    process.nextTick(poll);
  };
  poll();
}
ready(() => {});
""",
    )

    def is_there(reading):
        return innermost(reading) or any(hint.function == "poll" for hint in reading.hints)

    with folder.running("node", "poll.js") as process:
        reading = await read_until(NodeReader(), process.pid, is_there, n_looks=6)
    assert {hint.line for hint in reading.hints} <= {4, 5, 6, 7}


async def test_one_regular_expression_that_does_not_return_is_one_state(folder):
    folder.write(
        "valid.js",
        """\
function valid(line) {
  return /^(a+)+$/.test(line);
}
valid('a'.repeat(60) + '!');
""",
    )
    with folder.running("node", "valid.js") as process:
        reading = await read_until(
            NodeReader(),
            process.pid,
            lambda r: len(r.stacks) == 4 and all(s.native_leaf for s in r.stacks),
            n_looks=4,
        )
    assert {stack.native_leaf for stack in reading.stacks} == {"regex"}
    assert len({stack.state_hash for stack in reading.stacks}) == 1
    assert user_frames(reading)[0] == ("valid", "valid.js", 2)


async def test_a_worker_thread_that_spins_is_found(folder):
    folder.write(
        "main.js",
        """\
const { Worker } = require('worker_threads');
new Worker(__dirname + '/worker.js');
""",
    )
    folder.write(
        "worker.js",
        "let n = 0;\nfunction spin() {\n  while (n < 2) {\n    n = n % 2;\n  }\n}\nspin();\n",
    )
    with folder.running("node", "main.js") as process:
        reading = await read_until(
            NodeReader(), process.pid, lambda r: innermost(r) and innermost(r).loops, n_looks=2
        )
    assert (innermost(reading).function, innermost(reading).loops) == ("spin", ((3, 5),))
    assert reading.stacks[-1].tid != process.pid


async def test_the_process_goes_on_undisturbed_after_looks(folder):
    folder.write(
        "count.js",
        """\
const fs = require('fs');
let n = 0;
function tick() {
  for (let i = 0; i < 1e6; i++) n += i % 7;
  fs.writeFileSync('n.txt', String(n));
  setImmediate(tick);
}
tick();
""",
    )
    counted = folder.path / "n.txt"
    with folder.running("node", "count.js") as process:
        await read_until(NodeReader(), process.pid, lambda r: counted.exists(), n_looks=4)
        before = int(counted.read_text() or 0)
        await read_until(
            NodeReader(), process.pid, lambda r: int(counted.read_text() or 0) > before, n_looks=4
        )
        assert process.poll() is None
