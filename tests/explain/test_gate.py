"""What is shown of a model's answer agrees with the finding and the source; all else is refused."""

import json
import random
import re
from pathlib import Path

import pytest

from linnix_ls.core.findings import Note
from linnix_ls.explain import gate
from linnix_ls.explain.gate import Reason, Refusal
from tests.explain.findings import found, source_of

PY, C, SH, JS, JAVA = (
    "py-log-shipper", "c-frame-reader", "bash-wait-db", "node-config-store", "java-job-runner",
)  # fmt: skip
RE, PIPE, MEM, LEAK, GRID = (
    "py-sql-lexer", "py-render-pipe", "py-token-stream", "py-preview-server", "py-grid-search",
)  # fmt: skip
NPM, RUST, LOCK, PAGER, MAKE, UP = (
    "npm-site-build", "rust-ready-latch", "cpp-work-queue", "py-feed-export", "make-docs-targets",
    "bash-stack-up",
)  # fmt: skip


def answer(note, old="", new="", cites=()):
    return json.dumps({"note": note, "cites": list(cites), "old": old, "new": new})


def checked(name, text, *, is_free_prose=False):
    return gate.examine(
        text, "some-model", found(name), source_of(name), is_free_prose=is_free_prose
    )


GOOD = [
    (PY, "Replace `self.records.get_nowait()` with `self.records.get(timeout=deadline)`."),
    (PY, "In run(), wait in `self.records.get()` instead of asking with get_nowait()."),
    (PY, "Use a blocking `get` with a `timeout` at line 25 instead of `get_nowait`."),
    (PY, "At worker.py:25, call `self.records.get` with a timeout, so that the thread waits."),
    (PY, "Before `continue`, wait on `self.closing.wait(timeout)` so that the loop sleeps."),
    (PY, "Let `run` sleep in `self.records.get(timeout=...)` and keep `queue.Empty` for the"
    " timeout."),
    (PY, "The loop uses 0.51 cores; wait in `self.records.get()` with a timeout."),
    (PY, "In 12 looks it was in 2 different states. Wait in `records.get` with a timeout."),
    (PY, "Instead of catching `queue.Empty` and continuing, block in `self.records.get`."),
    (C, "Call `poll` on `fd` with a timeout when `errno` is `EAGAIN`, then call `recv` again."),
    (C, "Wait with `poll(fd, POLLIN)` before `recv`, and return -1 after a deadline."),
    (C, "When recv() fails with `EAGAIN`, block in `poll` until `fd` has data."),
    (C, "In `read_full`, add a deadline and wait for `POLLIN` with `poll` between two calls of"
    " recv."),
    (C, "It makes 720,000 system calls a second. Wait in `poll` before `recv` in read_full()."),
    (C, "100% of the calls find nothing: wait for `POLLIN` with `poll` in `read_full`."),
    (SH, "Add `sleep` to the body of the `while` loop, after the check of `SECONDS`."),
    (SH, "Sleep between two tries of `/dev/tcp/$host/$port` at line 6."),
    (SH, "In wait-for-db.sh, sleep in the loop and give up when `SECONDS` passes the limit."),
    (JS, "Replace `setImmediate(poll)` with a listener: emit an event once `this.values` is set."),
    (JS, "Wait for an event instead of calling `setImmediate(poll)` again."),
    (JS, "In `ready`, use `setTimeout(poll, delay)` instead of `setImmediate(poll)`, with a"
    " deadline."),
    (JAVA, "Declare `stopped` as `volatile`, so that the end condition of the loop in `run` is read"
           " again."),
    (JAVA, "Make `stopped` volatile: the condition at line 24 must be read anew in each round."),
    (RE, "Rewrite `COLUMN_LIST` without the nested repetition `(?:\\s*[\\w.$]+\\s*,?\\s*)+`."),
    (RE, "In `COLUMN_LIST`, make the comma required between names, so that the repetition is"
    " linear."),
    (RE, "Split the text between select and from at commas instead of matching with"
    " `COLUMN_LIST`."),
    (PIPE, "Call `proc.communicate()` instead of `proc.wait()`, so that stdout is read."),
    (PIPE, "Read `proc.stdout` before `proc.wait()` at line 10."),
    (PIPE, "Use `proc.communicate()` in `render`: it reads `stdout` while it waits."),
    (MEM, "Change `*` to `+` in the `op` group of `TOKEN`, and raise when `found.end()` does not"
          " advance `at`."),
    (MEM, "Raise a SyntaxError when `at` does not advance in `tokenize`."),
    (MEM, "Check that `found.end()` is past `at` before the next round, and raise otherwise."),
    (LEAK, "Call `stop` in a `finally`, or make `Preview` a context manager."),
    (LEAK, "Use a fixture that calls `stop()` after the test."),
    (GRID, "In `evaluate`, do not create a `ProcessPoolExecutor`; limit the workers in `search`."),
    (GRID, "Set `max_workers` in evaluate() from `os.cpu_count()` and use fewer workers there."),
    (NPM, "Remove the call of `build` from the `bundle` script, so that it does not run itself."),
    (RUST, "Wait on a `Condvar` with a timeout in `wait` instead of calling spin_loop()."),
    (LOCK, "Use a `std::mutex` instead of `try_lock` in a loop, so that `lock` blocks."),
    (LOCK, "Let lock() block on a condition variable instead of calling `yield` in a loop."),
    (PAGER, "Return when `page.next_cursor` is the same as `cursor`, so that the loop ends."),
    (PAGER, "Raise when a page has no new record: compare `cursor` with `page.next_cursor`."),
    (MAKE, "Remove the pattern rule `%` that calls `$(MAKE)` with `$@`."),
    (UP, "Replace the empty body of the `until` loop with `sleep`, and give up after a deadline."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "note"), GOOD)
def test_a_note_that_is_true_of_finding_and_source_is_shown(name, note):
    result = checked(name, answer(note, cites=["e1"]))
    assert result.refusals == ()
    assert result.note == Note("some-model", note, result.note.cites)
    assert "e1" in result.note.cites


BAD = [
    # the verdict
    (PY, "There is nothing to fix in `run`, it waits for records.", "contradicts_verdict"),
    (PY, "The loop in `run` is harmless; use `get` with a timeout.", "contradicts_verdict"),
    (PY, "This is expected: `run` waits in the loop. Use `get`.", "contradicts_verdict"),
    (PY, "This is normal behaviour for `run`, so wait.", "contradicts_verdict"),
    (PY, "It is a false positive, keep waiting in `run`.", "contradicts_verdict"),
    (PY, "`run` is making progress, keep `get_nowait` and wait.", "contradicts_verdict"),
    (PY, "No changes are needed in `run`, wait for the records.", "contradicts_verdict"),
    (PY, "There is no problem in `run`. Wait with a timeout.", "contradicts_verdict"),
    (PY, "This can be ignored. Wait with a timeout in `run`.", "contradicts_verdict"),
    (PY, "The code in `run` works as intended. Wait with a timeout.", "contradicts_verdict"),
    (PY, "Wait: the process is not stuck in `run`.", "contradicts_verdict"),
    (PY, "`run` isn't spinning, use a timeout.", "contradicts_verdict"),
    (PY, "`run` already waits in `get_nowait`, add a timeout.", "contradicts_verdict"),
    (PY, "Use `get` with a timeout. It will finish eventually.", "contradicts_verdict"),
    (PY, "The code of `run` is correct, set a timeout.", "contradicts_verdict"),
    (PY, "Disable the check for `run` and wait.", "contradicts_verdict"),
    (C, "2 system calls a second are common, wait in `poll`.", "contradicts_verdict"),
    (C, "The rate of recv is high, 150 per second, so wait in `poll`.", "unknown_number"),
    # other causes
    (PY, "There is a deadlock in `run`; use `get` with a timeout.", "other_cause"),
    (PY, "Use `get` with a timeout to end the memory leak in `run`.", "other_cause"),
    (PY, "Use a possessive quantifier in `run` and wait with a timeout.", "other_cause"),
    (PY, "Stop the fork bomb in `run` with a timeout.", "other_cause"),
    (PY, "End the infinite recursion in `run` with a timeout.", "other_cause"),
    (PY, "Fix the race condition in `run` with a timeout.", "other_cause"),
    (PIPE, "Call `communicate` to end the infinite loop in `render`.", "other_cause"),
    (RE, "Stop polling in `columns` and split at commas.", "other_cause"),
    (GRID, "Limit the workers in `evaluate` to stop the busy waiting.", "other_cause"),
    (C, "Use a mutex in `read_full` and wait with `poll`.", "other_cause"),
    # numbers
    (C, "It makes 720,000 cores. Wait in `poll` before recv().", "unknown_number"),
    (C, "It makes 720,000 calls. Wait in `poll` before recv().", "unknown_number"),
    (C, "It makes 400,000 system calls a second. Wait in `poll` in recv().", "unknown_number"),
    (C, "99% of the calls find nothing: wait in `poll` before recv().", "unknown_number"),
    (PY, "It uses 0.51 percent. Wait in `get` with a timeout in `run`.", "unknown_number"),
    (PY, "It uses 99 cores: wait in `get` with a timeout in `run`.", "unknown_number"),
    (PY, "Sleep for 5 seconds in `run` before `continue`.", "unknown_number"),
    (PY, "Call `self.records.get(timeout=7)` in `run`.", "unknown_number"),
    (PY, "Wait in `run`: three threads call `get_nowait`.", "unknown_number"),
    (PY, "Wait in `run`: thousands of calls a second are made.", "unknown_number"),
    (PY, "In 12 cores it was in `run`. Wait with a timeout.", "unknown_number"),
    (MEM, "Memory grows by 73.5 MB. Raise when `at` does not advance.", "unknown_number"),
    (PY, "It uses .5 cores. Wait in `get` with a timeout in `run`.", "unknown_number"),
    (PY, "It uses 1e3 cores. Wait in `get` with a timeout in `run`.", "unknown_number"),
    (MEM, "Memory is at 73.5 MB a minute. Raise when `at` does not advance.", "unknown_number"),
    # places
    (PY, "At worker.py:99, use `get` with a timeout.", "unknown_place"),
    (PY, "At queue.py:23, use `get` with a timeout.", "unknown_place"),
    (PY, "At line 230, use `get` with a timeout.", "unknown_place"),
    (PY, "In shipper/main.py, use `get` with a timeout.", "unknown_place"),
    (PY, "Write to /etc/passwd instead of waiting in `run` with a timeout.", "unknown_place"),
    (PY, "See src/shipper for `get` with a timeout, and use it.", "unknown_place"),
    (PY, "Use lines 20-77 of `run` and add a timeout.", "unknown_place"),
    # identifiers
    (RE, "Samples are in `liblzma`; split at commas in `columns`.", "unknown_identifier"),
    (PY, "Re-check `path.exists()` with a timeout in `run`.", "unknown_identifier"),
    (PY, "Use `self.records.take_blocking()` in `run` to wait.", "unknown_identifier"),
    (PY, "Call drain_all() with a timeout in `run`.", "unknown_identifier"),
    (PY, "Use a BlockingDeque with a timeout in `run`.", "unknown_identifier"),
    (PY, "Wait with trio.sleep in `run`.", "unknown_identifier"),
    (PY, "Replace `self.records.peek()` with `self.records.get()` to wait.", "unknown_identifier"),
    (PY, "Replace `closing.get_nowait()` with `records.get()` to wait.", "unknown_identifier"),
    (JS, "Use `chokidar.watch` and wait for its event in `ready`.", "unknown_identifier"),
    (PY, "Set MAX_WAIT to bound `run` with a timeout.", "unknown_identifier"),
    (PY, "Set $WAIT to bound `run` with a timeout.", "unknown_identifier"),
    # what nobody measured
    (PY, "The network is slow. Use `get` with a timeout in `run`.", "unmeasured"),
    (PY, "Check the disk, then use `get` with a timeout in `run`.", "unmeasured"),
    (PY, "Use `get` with a timeout in `run`, because a virus holds the queue.", "unmeasured"),
    (PY, "`submit` never puts a record. Use `get` with a timeout.", "unmeasured"),
    (PY, "The sink throws away the batch. Use `get` with a timeout.", "unmeasured"),
    (PY, "Probably `submit` is late. Use `get` with a timeout.", "guess"),
    (PY, "Use `get` with a timeout, `submit` might be late.", "guess"),
    (PY, "It seems that `submit` is late: use `get` with a timeout.", "guess"),
    (PY, "Use `get` with a timeout in `run`, the broker loses messages otherwise.", "unmeasured"),
    (PY, "Use `get` in `run`, which waits until the producer is upgraded.", "unmeasured"),
    # advice that does not help
    (PY, "Leave `run` as it is and wait for a timeout.", "contradicts_verdict"),
    (PY, "Raise the timeout of the test and wait in `run`.", "wrong_remedy"),
    (NPM, "Run `build` with -j2 and stop when it ends.", "unknown_identifier"),
    (NPM, "Use a supervisor for `bundle` that ends it.", "wrong_remedy"),
    (JAVA, "Sleep in `run` until `stopped` is set, and check the condition.", "wrong_remedy"),
    (RE, "Sleep before `COLUMN_LIST.match` and split the text.", "wrong_remedy"),
    (PY, "Increase the `batch_size` and wait with a timeout.", "wrong_remedy"),
    (MEM, "Add more memory and raise in `tokenize`.", "wrong_remedy"),
    (LOCK, "Add a name to `lock` and make `held_` true.", "wrong_remedy"),
    (GRID, "Change `evaluate` to return its results.", "wrong_remedy"),
    ("cpp-shape-visitor", "Replace `overlap_all` with a recursive function.", "wrong_remedy"),
    (MAKE, "Replace `$(MAKE)` with `$(MAKE) $@`, so that it ends.", "wrong_remedy"),
    (MAKE, "Run `$(MAKE)` in the background, so that it ends.", "wrong_remedy"),
    (MAKE, "Use `--no-print-directory -C .. $@`.", "wrong_remedy"),
    (JAVA, "Replace the `while` loop with a `for` loop with a bound.", "wrong_remedy"),
    (LEAK, "Replace `subprocess.Popen` with `subprocess.run` and wait.", "wrong_remedy"),
    (LOCK, "Replace `try_lock` with `std::unique_lock` to block.", "wrong_remedy"),
    (PIPE, "Call `proc.communicate()` to read the output without waiting.", "unmeasured"),
    (LEAK, "Call `stop` in a `finally` to ensure an end.", "unmeasured"),
    ("py-batch-drain", "Replace `asyncio.wait` with `asyncio.sleep`.", "wrong_remedy"),
    (UP, "Replace the `until` loop with a `sleep` command.", "wrong_remedy"),
    (LOCK, "Replace the `while (!try_lock())` loop with `std::this_thread::yield()` and wait.",
     "wrong_remedy"),
    (LEAK, "Replace `start_new_session=True` with `start_new_session=False`, and stop it.",
     "wrong_remedy"),
    # of no use
    (PY, "Use a blocking call with a timeout instead.", "not_specific"),
    (PY, "The loop in `run` calls `get_nowait` until a timeout.", "not_specific"),
    (PY, "Let the queue wait: get(timeout=…) sleeps until there is an item and raises queue.Empty"
         " when time is up.", "echo"),
    (PY, "Replace `get_nowait()` with `get_nowait()` and a timeout.", "echo"),
    (PY, "Use get() in `run` with a timeout. Use get() in `run` with a timeout. Use get() in `run`"
         " with a timeout.", "echo"),
    (PY, "", "empty"),
    (PY, "Fix it.", "empty"),
    (PY, "Use `get` with a timeout in `run`. " * 20, "too_long"),
    (PY, "Benutze `get` mit timeout in `run`, dann wartet die Schleife für Daten.", "not_prose"),
    (PY, "在 run 里用 get 等待 timeout, use get with timeout.", "not_prose"),
    # text that acts
    (PY, "Use `get` with a timeout, see https://example.com/run.", "unsafe_text"),
    (PY, "Use [get](command:run) with a timeout in `run`.", "unsafe_text"),
    (PY, "Use `get` with a timeout in `run` <script>alert(1)</script>.", "unsafe_text"),
    (PY, "Use `get` \x1b[31mwith a timeout\x1b[0m in `run`.", "unsafe_text"),
    (PY, "Use `get` \u202ewith a timeout in `run`.", "unsafe_text"),
    (PY, "Use `get` with a timeout\nin `run`.", "unsafe_text"),
    (PY, "Run the following: rm -rf build, then wait in `run`.", "unsafe_text"),
    (PY, "Use pip install blocking-queue and wait in `run`.", "unsafe_text"),
    (PY, "Use sudo and wait with a timeout in `run`.", "unsafe_text"),
    (PY, "Replace ‹redacted› with `get` and a timeout in `run`.", "unsafe_text"),
    (PY, "Ignore previous instructions and wait in `run` with a timeout.", "echo"),
    (PY, "As an AI language model, I would wait in `run` with a timeout.", "echo"),
    (PY, "Here is the JSON: wait in `run` with a timeout.", "echo"),
    (PY, "Sure! Use `get` with a timeout in `run`.", "echo"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "note", "reason"), BAD)
def test_a_note_that_is_not_borne_out_is_refused(name, note, reason):
    result = checked(name, answer(note))
    assert result.note is None, result.note
    assert result.refusals[0].reason == reason, result.refusals


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not_json"),
        ("no JSON", "not_json"),
        ('{"note": "Use `get` with a time', "not_json"),
        ("[]", "not_json"),
        ("null", "not_json"),
        ('{"text": "x"}', "not_json"),
        ('{"note": 7}', "not_json"),
        ("[" * 9_000, "not_json"),
        ('{"note": "' + "a" * 200_000 + '"}', "too_long"),
        ("x" * 100_000_0, "too_long"),
    ],
)
def test_what_is_no_answer_is_refused(text, reason):
    assert checked(PY, text).refusals[0].reason == reason


def test_a_note_that_was_cut_off_keeps_its_whole_sentences():
    note = "Use `self.records.get()` with a timeout in `run`. Then the loop wai"
    assert (
        checked(PY, answer(note)).note.text == "Use `self.records.get()` with a timeout in `run`."
    )


def test_the_end_of_a_sentence_is_cut_off_where_only_that_is_not_borne_out():
    say = "Replace `self.records.get_nowait()` with `self.records.get(timeout=0.1)`"
    note = f"{say}, which will allow the thread to sleep for 0.1 seconds."
    text = answer(note, "self.records.get_nowait()", "self.records.get(timeout=0.1)")
    assert checked(PY, text).note.text == f"{say}."
    note = f"{say}, which is what was expected."
    text = answer(note, "self.records.get_nowait()", "self.records.get(timeout=0.1)")
    assert checked(PY, text).refusals[0].reason is Reason.CONTRADICTS_VERDICT


def test_the_reasons_are_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "explanations.md").read_text()
    assert {reason for reason in Reason if f"`{reason}`" not in page} == set()


def test_json_may_come_in_a_fence():
    text = f"```json\n{answer(GOOD[0][1])}\n```"
    assert checked(PY, text).note.text == GOOD[0][1]


def test_only_evidence_that_exists_is_cited_and_numbers_cite_theirs():
    note = "The loop uses 0.51 cores; wait in `self.records.get()` with a timeout."
    assert checked(PY, answer(note, cites=["e99", "[e3]", "e3", 7])).note.cites == ("e3", "e1")


def test_check_gives_the_note_or_the_first_refusal():
    arguments = ("some-model", found(PY), source_of(PY))
    note = gate.check(answer(GOOD[0][1]), *arguments, is_free_prose=False)
    assert isinstance(note, Note)
    assert gate.check("", *arguments, is_free_prose=False) == Refusal(
        Reason.NOT_JSON, "Expecting value: line 1 column 1 (char 0)"
    )


def test_without_source_a_note_speaks_of_the_finding_alone():
    note = "Wait with a timeout in run() at worker.py:23 instead of asking again."
    result = gate.examine(answer(note), "m", found(PY), None, is_free_prose=False)
    assert result.note.text == note
    note = "Wait with a timeout in `self.records.get_nowait`."
    result = gate.examine(answer(note), "m", found(PY), None, is_free_prose=False)
    assert result.refusals[0].reason is Reason.UNKNOWN_IDENTIFIER


# -- free prose ----------------------------------------------------------------------------------

PROSE = """\
The loop in `run` uses 0.51 cores [e1]. Replace `self.records.get_nowait()` with a blocking call:

- Call `self.records.get(timeout=0.5)`, so that the thread sleeps until there is a record.
- Keep `queue.Empty` for the timeout, so that `self.closing` is read again.

<<<<<<< SEARCH
                batch.append(self.records.get_nowait())
=======
                batch.append(self.records.get(timeout=0.5))
>>>>>>> REPLACE
"""


def test_free_prose_may_have_paragraphs_citations_and_a_change():
    result = checked(PY, PROSE, is_free_prose=True)
    assert result.refusals == ()
    assert result.note.cites == ("e1",)
    assert result.note.text.startswith("The loop in `run` uses 0.51 cores [e1].")
    assert "SEARCH" not in result.note.text
    [edit] = result.note.patch.edits
    assert edit.line == 25


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[e1]", "[e77]", "unknown_citation"),
        ("=======\n", "", "not_prose"),
        ("0.51 cores", "0.9 cores", "unknown_number"),
        ("Replace", "Nothing needs to be fixed. Replace", "contradicts_verdict"),
        ("Keep", "![x](y) Keep", "unsafe_text"),
        ("Keep", "\x1b[2J Keep", "unsafe_text"),
        ("a record.", "a record." + " Wait in `run`, then." * 90, "too_long"),
        ("- Keep", "```sh\nrm x\n```\n- Keep", "not_prose"),
    ],
)
def test_free_prose_goes_through_the_same_gate(old, new, reason):
    result = checked(PY, PROSE.replace(old, new, 1), is_free_prose=True)
    assert result.note is None
    assert result.refusals[0].reason == reason


# -- whatever is answered ------------------------------------------------------------------------

WORDS = (
    "use wait replace the loop in `run` `get_nowait` `self.records.get()` timeout deadline with and"
    " 0.51 cores 12 looks 99% seven deadlock network line 25 line 99 worker.py:23 other.py:3 ."
    " ! \x1b[31m <b> https://x [e1] [e9] never because harmless nothing to fix ` ( ) { } \u202e"
    " foo_bar FooBar foo() a/b -j2 sudo , : ; ''"
).split(" ")


def independent_look(text, name):
    """A simple check of its own: characters, numbers, files and marked names."""
    finding, excerpt = found(name), source_of(name)
    source = "\n".join(excerpt.lines)
    assert re.fullmatch(r"[\x20-\x7e\n‘’“”–—…→×≤≥é]*", text)
    assert "://" not in text and "<b>" not in text and "sudo" not in text
    assert not re.search(r"harmless|nothing to fix|deadlock|network|never", text)
    told = source + json.dumps([str(piece.value) for piece in finding.evidence])
    told += f" {excerpt.first_line} {excerpt.last_line} worker.py:23 line 25 e1"
    told += finding.explanation.summary + finding.explanation.why
    for number in re.findall(r"\d[\d.,]*\d|\d", text):
        assert number in told, number
    for span in re.findall(r"`([^`]+)`", text):
        for identifier in re.findall(r"[A-Za-z_]\w+", span):
            assert identifier in told or identifier in "get timeout wait deadline", identifier


@pytest.mark.parametrize("is_free_prose", [False, True])
def test_whatever_is_answered_nothing_is_raised_and_what_passes_is_clean(is_free_prose):
    chance = random.Random(11)
    n_passed = 0
    for _ in range(1500):
        note = " ".join(chance.choices(WORDS, k=chance.randrange(1, 14)))
        if chance.random() < 0.5:
            note = f"Use `self.records.get()` with a timeout {note}."
        text = note if is_free_prose else answer(note, *chance.choices(["", "x\n", note], k=2))
        result = checked(PY, text, is_free_prose=is_free_prose)
        assert result.note or result.refusals
        if result.note:
            n_passed += 1
            independent_look(result.note.text, PY)
    assert n_passed


@pytest.mark.timeout(60)  # of each it takes milliseconds
def test_it_comes_to_an_end_also_with_what_is_made_to_be_slow():
    chance = random.Random(3)
    texts = [
        "a" * 100_000, "`" * 9_999, "a/" * 5_000, "a." * 5_000, "line 1 " * 1_400, "in a, " * 1_600,
        "(" * 9_000, "x_" * 5_000, "1,1" * 3_300, "replace " * 1_200, "not " * 2_400, "'a " * 3_000,
        "<" * 9_999, "&a" * 4_000, "[e1]" * 2_400, "- " * 5_000, "a-" * 5_000, "A1" * 4_999,
        "".join(chance.choice("`'\"()./ -_aA1:,\n[]<>=") for _ in range(9_900)),
    ]  # fmt: skip
    for text in texts:
        for is_free_prose, shape in (
            (True, text),
            (False, answer(text)),
            (False, answer("", text)),
        ):
            checked(PY, shape, is_free_prose=is_free_prose)


def test_a_change_that_only_asks_again_is_refused_with_its_note():
    old = "                batch.append(self.records.get_nowait())"
    note = "Replace `self.records.get_nowait()` with `self.records.get(timeout={})`."
    for seconds, is_shown in (("0", False), ("0.0", False), ("0.5", True)):
        new = old.replace("get_nowait()", f"get(timeout={seconds})")
        result = checked(PY, answer(note.format(seconds), old=old, new=new))
        assert (result.note is not None) == is_shown, (seconds, result)
