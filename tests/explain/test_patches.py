"""A change may be tried when it is small, whole, within what was shown, and calls nothing new."""

import json
import re
from dataclasses import replace

import pytest

from linnix_ls.core.findings import Edit
from linnix_ls.explain import excerpt as excerpts
from linnix_ls.explain import gate
from linnix_ls.explain.gate import Reason
from tests.explain.findings import found, source_of, with_text

PY, C, SH, JS, JAVA, RUST, PIPE = (
    "py-log-shipper", "c-frame-reader", "bash-wait-db", "node-config-store", "java-job-runner",
    "rust-ready-latch", "py-render-pipe",
)  # fmt: skip
GET = "                batch.append(self.records.get_nowait())"
LOOP = "            except queue.Empty:\n                continue"
RECV = "        else if (errno != EAGAIN && errno != EINTR)\n            return -1;"


def answer(old, new, note="Wait with a timeout at line {}."):
    return json.dumps({"note": note, "cites": [], "old": old, "new": new})


def patched(name, old, new, finding=None, excerpt=None):
    """The edit that is left of a change, or why there is none."""
    finding, excerpt = finding or found(name), excerpt or source_of(name)
    remedy = {"java-job-runner": "Check the condition", "py-render-pipe": "Call communicate"}
    note = f"{remedy.get(name, 'Wait with a timeout')} at line {finding.location.line}."
    result = gate.examine(answer(old, new, note), "m", finding, excerpt, is_free_prose=False)
    assert result.note, result
    if result.note.patch is None:
        [refusal] = result.refusals
        assert refusal.reason is Reason.BAD_PATCH
        return refusal.detail
    assert result.refusals == ()
    assert result.note.patch.by == "m"
    [edit] = result.note.patch.edits
    return edit


GOOD = [
    (PY, GET, "                batch.append(self.records.get(timeout=0.5))"),
    (PY, LOOP, "            except queue.Empty:\n                self.closing.wait(0.1)\n"
               "                continue"),
    (PY, LOOP, "            except queue.Empty:\n                import time\n"
               "                time.sleep(0.1)\n                continue"),
    (C, RECV, "        else if (errno != EAGAIN && errno != EINTR)\n            return -1;\n"
              "        else\n            usleep(1000);"),
    (SH, "    fi\ndone", "    fi\n    sleep 0.2\ndone"),
    (SH, 'while ! (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do',
         'attempts=0\nwhile ! (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do\n'
         "    (( ++attempts < 50 )) || exit 1\n    sleep 0.2"),
    (JS, "      setImmediate(poll);", "      setTimeout(poll, 20);"),
    (JAVA, "    private boolean stopped;", "    private volatile boolean stopped;"),
    (RUST, "            std::hint::spin_loop();", "            std::thread::yield_now();"),
    (PIPE, "    status = proc.wait()\n    if status != 0:",
           "    proc.communicate()\n    status = proc.wait(timeout=60)\n    if status != 0:"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), GOOD)
def test_a_change_that_waits_or_bounds_may_be_tried(name, old, new):
    edit = patched(name, old, new)
    excerpt = source_of(name)
    at = edit.line - excerpt.first_line
    assert edit == Edit(excerpt.path, edit.line, old, new)
    assert list(excerpt.lines[at : at + old.count("\n") + 1]) == old.split("\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (GET.strip(), "batch.append(self.records.get(timeout=0.5))"),
        (GET[8:], "        batch.append(self.records.get(timeout=0.5))"),
        (f"{GET}  ", "                batch.append(self.records.get(timeout=0.5))\n"),
        (f"   25| {GET}", "   25|                 batch.append(self.records.get(timeout=0.5))"),
        (f"25| {GET}", "25|                 batch.append(self.records.get(timeout=0.5))"),
    ],
)
def test_indentation_and_margins_become_the_true_ones(old, new):
    true = "                batch.append(self.records.get(timeout=0.5))"
    assert patched(PY, old, new) == Edit(source_of(PY).path, 25, GET, true)


def test_of_a_part_of_a_line_the_whole_line_is_changed():
    true = "                batch.append(self.records.get(timeout=0.5))"
    old, new = "self.records.get_nowait()", "self.records.get(timeout=0.5)"
    assert patched(PY, old, new) == Edit(source_of(PY).path, 25, GET, true)
    assert "not in the source" in patched(PY, "self.records", "self.closing")  # there twice
    assert "not in the source" in patched(PY, "records.get_now", "records.get")
    assert "not in the source" in patched(PY, "batch", "items")


BAD = [
    (PY, GET.replace("batch", "lot"), GET, "not in the source"),
    (PY, GET, GET, "changes nothing"),
    (PY, GET, "", "only"),
    (PY, "", GET, "only"),
    (PY, GET, "                pass", "only removes"),
    (PY, GET, f"{GET}\n" * 30, "too many lines|too long"),
    (PY, GET, f"{GET})", "breaks the file's syntax"),
    (PY, GET, "  batch.append(self.records.get())", "syntax|indented"),
    (PY, "                batch", "                lot", "not in the source"),
    (PY, GET, f"{GET}  # \u202e", "no code"),
    (PY, GET, f"{GET}  # ‹redacted›", "no code"),
    (PY, "                self.sink.write(batch)", "                self.sink.write(self.records)",
     "new"),
    # what it would run
    (PY, GET, "                import os; os.system('x')", "unknown name|new"),
    (PY, GET, "                import shutil\n                shutil.rmtree('x')", "unknown name"),
    (PY, GET, "                eval('x')", "unknown name"),
    (PY, GET, "                __import__('os').system('x')", "unknown name"),
    (PY, GET, "                open('x').close()", "unknown name"),
    (PY, GET, "                self.sink.close_and_delete()", "unknown name"),
    (PY, GET, "                self.records.get().__class__", "unknown name"),
    (PY, GET, "                from os import system as wait\n                wait()", "name"),
    (PY, GET, "                import os as time\n                time.sleep(1)", "imports"),
    (PY, GET, "                time.sleep(1)", "time, which is new"),
    (PY, GET, "                batch.append(self.records.get(timeout=wibble))", "unknown name"),
    (PY, GET, "                self.run()", "itself|new"),
    (PY, GET, "                self.sink.write('rm -rf x')", "text"),
    (PY, GET, "                self.sink.write('/etc/passwd')", "text"),
    (PY, GET, "                self.sink.write('http://x')", "text"),
    (PY, GET, "                del self.records", "unknown name"),
    (PY, GET, "                timeout = lambda: 1", "defines"),
    (SH, "    fi\ndone", "    fi\n    rm x\ndone", "unknown name|new"),
    (SH, "    fi\ndone", "    fi\n    timeout 5 sh\ndone", "unknown name|new"),
    (SH, "    fi\ndone", "    fi\n    timeout 5 exec $host\ndone", "new"),
    (SH, "    fi\ndone", "    fi\n    $host\ndone", "new"),
    (SH, "    fi\ndone", "    fi\n    sleep $($port)\ndone", "new"),
    (SH, "    fi\ndone", "    fi\n    echo 1 > port\ndone", "redirects"),
    (SH, "    fi\ndone", "    fi\n    sleep 1 &\ndone", "background"),
    (SH, "    fi\ndone", "    fi\n    PATH=host\n    sleep 1\ndone", "sets PATH"),
    (SH, "    fi\ndone", "    fi\n    sleep 1", "syntax"),
    (SH, "    if (( SECONDS > 6 )); then", "    sleep 1", "syntax"),
    (SH, "    fi\ndone", "    fi\ndone\n    sleep 1\ndone", "syntax"),
    (C, RECV, f'{RECV}\n        system("x");', "unknown name"),
    (C, RECV, f"{RECV}\n        else send(fd, buf, 1, 0);", "new"),
    (C, RECV, f"{RECV}\n        else poll(", "syntax"),
    (JS, "      setImmediate(poll);", "      require('child_process').exec('x');", "name|new"),
    (JS, "      setImmediate(poll);", "      fs.readFileSync(this.file);", "unknown name"),
    (JS, "      setImmediate(poll);", "      eval(poll);", "unknown name"),
    (JAVA, "    private boolean stopped;", "    private boolean stopped", "syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "why"), BAD)
def test_a_change_that_may_do_harm_is_dropped_and_the_note_stays(name, old, new, why):
    detail = patched(name, old, new)
    assert isinstance(detail, str), detail
    assert re.search(why, detail), detail


TEST = """\
import queue


def test_drain():
    q = queue.Queue()
    items = []
    while True:
        items.append(q.get_nowait())
    assert items == [1]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    assert items == [1]", "    items.append(1)"),
        ("    items = []", "    items = []\n    return"),
        ("    q = queue.Queue()", "    import pytest\n    pytest.skip()\n    q = queue.Queue()"),
    ],
)
def test_a_test_is_not_weakened(old, new):
    finding, _ = with_text(PY, TEST, line=8)
    location = replace(finding.location, path="/ws/tests/test_drain.py", function="test_drain")
    finding = replace(finding, location=location)
    shown = excerpts.read(finding, lambda _: TEST)
    assert isinstance(patched(PY, old, new, finding, shown), str)
    fine = "        items.append(q.get(timeout=1))"
    assert patched(PY, "        items.append(q.get_nowait())", fine, finding, shown).new == fine


def test_lines_with_a_secret_in_them_are_not_changed():
    text = 'password = "hunter2horse"\nwhile True:\n    pass\n'
    finding, excerpt = with_text(PY, text, line=2)
    detail = patched(PY, 'password = "‹redacted›"', "password = 1", finding, excerpt)
    assert "no code" in detail
    detail = patched(PY, 'password = "hunter2horse"', "password = 1", finding, excerpt)
    assert "not in the source" in detail


def test_of_a_language_that_nobody_can_parse_no_change_is_tried():
    name = "make-docs-targets"
    old = "\t@$(MAKE) --no-print-directory -C .. $@"
    text = answer(old, "\t@echo $@", "Remove the call of the target itself at line 11.")
    result = gate.examine(text, "m", found(name), source_of(name), is_free_prose=False)
    assert result.note.patch is None
    assert "syntax" in result.refusals[0].detail
