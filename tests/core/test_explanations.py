"""What is said about a finding is what was measured, and nothing else.

Many findings are made, of every kind and with all sorts of figures, and those of all recordings
are taken; then facts are changed and taken away. What is said must follow.
"""

import json
import random
import re
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bench.explain import counterfactuals, truth
from linnix_ls.core.detectors.languages import language_of
from linnix_ls.core.detectors.wording import (
    UNITS,
    Facts,
    function_of,
    has_place,
    label_of,
    spelled,
    value_of,
)
from linnix_ls.core.examination import Depth, Wait
from linnix_ls.core.explanations import ADVICE, explain
from linnix_ls.core.findings import (
    Cause,
    Evidence,
    Finding,
    Kind,
    ProcessInfo,
    Severity,
    SourceLocation,
)
from linnix_ls.core.ids import ProcessKey
from linnix_ls.tracer.trace_file import read_trace
from tests.core.runaways import RUNAWAYS, dive, retries, rounds_of_two, slow_retries
from tests.core.scenes import Scene, busy_process, calls, frame, going_round, look
from tests.report.samples import SPIN
from tests.traces.record import CORPUS_FINDINGS, CORPUS_TRACES, FINDINGS, HERE, replayed

# -- many findings -------------------------------------------------------------------------------


def spins(chance):
    """Every way to spin, with figures that differ, and some that are missing."""
    for look_, _, scene in RUNAWAYS.values():
        figures = dict(look_)
        figures["window_s"] = window_s = round(chance.uniform(0.65, 0.9), 3)
        if look_.get("syscalls"):
            per_s = look_["syscalls"][0].n_calls / 0.7 * chance.uniform(1, 3)
            first = look_["syscalls"][0]
            figures["syscalls"] = (
                replace(
                    calls(first.name, per_s, failing=first.n_errors / first.n_calls,
                          finding_nothing=first.n_zero / first.n_calls, window_s=window_s),
                    n_paths=first.n_paths, commonest_path=first.commonest_path,
                    n_commonest_path=first.n_paths and round(per_s * window_s),
                ),
                *look_["syscalls"][1:],
            )  # fmt: skip
        figures["on_cpu_cores"] = chance.uniform(0.9, 1.9)
        if chance.random() < 0.5:
            figures["runnable_cores"] = None
        if chance.random() < 0.5 and "stacks" not in figures:
            figures["native_stacks"] = (look(frame("spin_7", 4711, "/ws/v2/loop3.c")),) * 9
        yield busy_process(figures, **scene)


def storms(chance):
    scene = Scene()
    script = scene.start(scene.run(), "sh wait-2.sh")
    code = chance.choice([1, 7, 127])
    retries(scene, script, "curl8 --port {n}", per_s=chance.randrange(20, 90), seconds=3, code=code)
    yield scene
    scene = Scene()
    script = scene.start(scene.run(), "bash wait.sh")
    for _ in range(250):
        for _ in range(chance.randrange(18, 30)):
            scene.exit(scene.fork(script), 0)
        scene.passes(0.01)
    yield scene
    scene = Scene()
    rounds_of_two(scene, scene.start(scene.run(), "bash 3.sh"), per_s=30, seconds=3)
    yield scene
    scene = Scene()
    script = scene.start(scene.run(), "bash up4.sh")
    slow_retries(scene, script, "node -c x9", takes_s=chance.uniform(0.2, 0.3), pause_s=0.01, n=25)
    yield scene
    for command, name in (("node wrap3.js {n}", "npm run build"), ("make docs", "make docs")):
        scene = Scene()
        dive(scene, scene.run(name), command, depth=chance.randrange(20, 60), cwd="/ws")
        scene.passes(1)
        yield scene
    scene = Scene(n_cpus=chance.randrange(1, 4))
    pool = scene.start(scene.run(), "python3 pool.py")
    for _ in range(40 * scene.n_cpus + chance.randrange(9)):
        scene.is_busy(scene.fork(pool), share=0.01)
    scene.passes(3)
    yield scene


def hangs(chance):
    for what in ("a pipe", "a lock"):
        scene = Scene()
        run = scene.run()
        child = scene.start(run, "python3 child.py")
        others = [scene.start(child, f"cat {n}") for n in range(chance.randrange(3))]
        circle = [run, child, *others]
        waits = tuple(
            Wait(key, key.pid, "read" if what == "a pipe" else "futex", what, (peer,), True)
            for key, peer in zip(circle, circle[1:] + circle[:1], strict=True)
        )
        for key in circle:
            scene.shows(key, waits=waits)
        scene.passes(chance.uniform(6, 9))
        yield scene


def hangs_of_threads(chance):
    scene = Scene()
    child = scene.start(scene.run(), "java Locks")
    names = [f"worker-{n}" for n in range(chance.randrange(2, 6))]
    circle = tuple(zip(names, names[1:] + names[:1], strict=True))
    scene.shows(child, deadlock=circle, language="java")
    scene.passes(chance.uniform(6, 9))
    yield scene


def leaks(chance):
    for listening in ((), ("127.0.0.1:8080",), ("[::1]:9", "0.0.0.0:10")):
        scene = Scene()
        run = scene.start(scene.watch("nvim"), "pytest -q")
        server = scene.start(run, "python3 serve2.py")
        rss_bytes = chance.choice([None, chance.randrange(10**9)])
        scene.shows(server, listening=listening, rss_bytes=rss_bytes)
        scene.passes(chance.uniform(0, 2))
        scene.exit(run)
        scene.passes(chance.uniform(3, 5))
        yield scene


def findings():
    found = []
    for seed in range(6):
        chance = random.Random(seed)
        for make in (spins, storms, hangs, hangs_of_threads, leaks):
            for scene in make(chance):
                found += scene.findings
    return found


@pytest.fixture(scope="module")
def many():
    return findings()


@pytest.fixture(scope="module")
def recorded():
    """What is found in each recording."""
    live = {HERE: FINDINGS, CORPUS_TRACES: CORPUS_FINDINGS}
    traces = [
        folder / f"{name}.trace"
        for folder, file in live.items()
        for name, found in json.loads(file.read_text()).items()
        if found
    ]
    return [finding for path in traces for finding in replayed(read_trace(path))]


@pytest.fixture(scope="module")
def everything(many, recorded):
    return [*many, *recorded]


def made_up(kind=Kind.CPU_SPIN, cause=Cause.BUSY_POLL, **facts):
    """A finding as it may stand in a document, whatever its evidence."""
    place = facts.pop("place", SourceLocation("/ws/pump.py", 41, function="drain", confidence=0.9))
    evidence = facts.pop("evidence", ())
    key = ProcessKey(4412, 99)
    argv = facts.pop("argv", ("python3", "pump.py"))
    process = ProcessInfo(key, 1, 1000, "python3", "/usr/bin/python3", argv, "/ws")
    return replace(
        Finding(
            "f1", kind, cause, Severity.WARNING, 0.9, process, (), key, place, (), None,
            0, 1, None, evidence, None,
        ),
        **facts,
    )  # fmt: skip


def a_piece(name, value, unit=None, id_="e1"):
    return Evidence(id_, name, value, unit or UNITS[name], None, "test")


TEXTS = {
    "name": "recvfrom", "names": "recv, is_set", "path": "/ws/state.json", "address": "[::1]:80",
    "kind": "regular expression", "wait": "process 9 waits in read for a pipe (on 8)",
}  # fmt: skip


def a_value(name, chance):
    if UNITS[name] == "share":
        return round(chance.random(), 3)
    return TEXTS.get(UNITS[name], chance.choice([0, 1, 2, 17, 310_000, 0.984]))


def of_all_kinds_and_causes():
    """Kinds and causes that do not belong together, too, with nothing, some or all known."""
    for seed, (kind, cause) in enumerate(product(Kind, Cause)):
        chance = random.Random(seed)
        for share in (0, 0.3, 0.7, 1):
            names = [name for name in UNITS if chance.random() < share]
            yield made_up(
                kind, cause,
                evidence=tuple(
                    a_piece(name, a_value(name, chance), id_=f"e{n}")
                    for n, name in enumerate(names, 1)
                ),
                confidence=chance.choice([0.5, 0.95]),
            )  # fmt: skip


def test_they_are_of_all_kinds_and_causes(many):
    assert {finding.kind for finding in many} == set(Kind)
    assert {finding.cause for finding in many} >= set(Cause) - {Cause.OTHER}
    assert min(Counter(finding.cause for finding in many).values()) >= 5


def test_what_each_piece_of_evidence_is_called_is_in_the_docs(many):
    page = (Path(__file__).parents[2] / "docs" / "findings-document.md").read_text()
    for name in {piece.name for finding in many for piece in finding.evidence}:
        assert f"`{name}`" in page


# -- what is said --------------------------------------------------------------------------------


def texts(explanation):
    said = [explanation.summary, explanation.why, *explanation.fix, explanation.otherwise]
    return [text for text in said if text]


def told(explanation):
    """All but advice, which stands in tables and says nothing of what was seen."""
    return f"{explanation.summary} {explanation.why} {explanation.otherwise}"


def assert_true(finding, explanation):
    assert truth.unsupported_numbers(finding, explanation) == [], texts(explanation)
    assert truth.unknown_places(finding, explanation) == [], texts(explanation)
    assert set(explanation.cites) <= {piece.id for piece in finding.evidence}
    assert truth.citation_coverage(finding, explanation) == 1 or not explanation.cites


def test_every_finding_is_explained_as_it_is_raised(everything):
    for finding in everything:
        assert finding.explanation == explain(finding)
        assert finding.explanation.by == "rules"


def test_every_number_is_in_the_evidence_that_is_cited(everything):
    for finding in everything:
        assert_true(finding, finding.explanation)
        assert finding.explanation.cites


def test_nothing_denies_the_verdict_or_is_said_of_another_kind(everything):
    for finding in everything:
        assert truth.contradictions(finding, finding.explanation) == [], texts(finding.explanation)


def test_all_evidence_has_the_name_and_the_unit_that_words_are_about(everything):
    for finding in everything:
        for piece in finding.evidence:
            assert UNITS[piece.name] == piece.unit


def test_all_texts_are_whole_sentences(everything):
    for finding in (*everything, *of_all_kinds_and_causes()):
        explanation = explain(finding)
        assert explanation.why
        assert explanation.fix
        for text in texts(explanation):
            assert text == text.strip()
            assert not re.search(r"\n|  |\{\w+\}|\.\.(?!\.)|\bNone\b|\bnan\b|\binf\b", text), text
            assert not re.search(r"\b1 (\w+s\b)(?<!process)(?<!s\b)", text), text
        assert not explanation.summary.endswith(".")
        for text in texts(explanation)[1:]:
            assert text[0] == text[0].upper() or text in explanation.fix
            assert text.endswith((".", "`"))


def test_the_summary_names_the_place_and_what_decided(everything):
    n_with_place = 0
    for finding in everything:
        summary = finding.explanation.summary
        if finding.location:
            n_with_place += 1
            file = finding.location.path.rsplit("/", 1)[-1]
            assert f"{file}:{finding.location.line}" in summary
            assert f"{function_of(finding) or ''}" in summary
        assert f"process {finding.process.key.pid}" in summary
        cited = [piece for piece in finding.evidence if piece.id in finding.explanation.cites]
        assert any(spelled(piece) in summary for piece in cited), summary
    assert n_with_place > 10


def test_what_else_it_could_be_is_said_where_it_is_not_sure(everything):
    for finding in everything:
        is_sure = finding.confidence >= 0.8 and finding.severity is Severity.WARNING
        assert bool(finding.explanation.otherwise) is not is_sure


# -- advice --------------------------------------------------------------------------------------


def test_advice_is_of_the_language_of_the_line(everything):
    for finding in (*everything, *of_all_kinds_and_causes()):
        language = language_of(finding)
        theirs = {"cpp": {"cpp", "c"}}.get(language, {language})
        for line in explain(finding).fix:
            of = {name for table in ADVICE for name, lines in table.items() if line in lines}
            assert not of or of & {*theirs, ""}, (language, line)


@pytest.mark.parametrize(
    ("path", "argv", "language", "words"),
    [
        ("/ws/a.py", (), "python", "time.sleep()"),
        ("/ws/a.mjs", (), "node", "node:timers/promises"),
        ("/ws/A.java", (), "java", "Thread.sleep()"),
        ("/ws/a.c", (), "c", "nanosleep()"),
        ("/ws/a.cc", (), "cpp", "sleep_for()"),
        ("/ws/a.rs", (), "rust", "std::thread::sleep()"),
        ("/ws/a.sh", (), "shell", "inotifywait"),
        ("/ws/bin/deploy", ("/bin/bash", "bin/deploy"), "shell", "inotifywait"),
        ("/ws/a.pl", (), "perl", "IO::Select"),
        ("/ws/a.f90", ("python3", "a"), "", "sleep between two rounds"),
    ],
)
def test_each_language_has_its_own_advice(path, argv, language, words):
    finding = made_up(place=SourceLocation(path, 3, confidence=0.9), argv=argv)
    assert language_of(finding) == language
    assert words in " ".join(explain(finding).fix)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"loop_calls": "get_nowait, append"}, "get(timeout=…)"),
        ({"loop_calls": "poll"}, "process.wait(timeout=…)"),
        ({"loop_calls": "poll", "commonest_syscall": "wait4"}, "process.wait(timeout=…)"),
        ({"loop_calls": "sleep, done", "commonest_syscall": "epoll_wait"}, "event.wait(timeout=…)"),
        ({"loop_calls": "wait", "commonest_syscall": "epoll_wait"}, "asyncio.wait_for()"),
        ({"commonest_syscall": "newfstatat"}, "watchfiles"),
        ({"commonest_syscall": "recvfrom"}, "BlockingIOError"),
        ({"commonest_syscall": "getrandom"}, "Wait instead of asking"),
    ],
)
def test_advice_is_for_what_the_loop_asks(evidence, words):
    pieces = tuple(a_piece(name, value, id_=name) for name, value in evidence.items())
    assert words in " ".join(explain(made_up(evidence=pieces)).fix)


def test_a_program_whose_own_line_is_not_known_gets_no_advice_for_who_started_it():
    reason = "process 7 started it here"
    place = SourceLocation("/ws/test_it.py", 3, "test", confidence=0.5, reason=reason)
    finding = made_up(place=replace(place, function="test"), argv=("./engine",))
    explanation = explain(finding)
    assert explanation.summary.startswith(
        "engine (process 4412), started by test() at test_it.py:3"
    )
    assert "time.sleep()" not in " ".join(explanation.fix)


# -- had it been otherwise -----------------------------------------------------------------------


def test_what_is_said_follows_each_number(everything):
    n_followed = 0
    for finding in everything:
        for piece, changed in counterfactuals.with_changed_values(finding):
            explanation = explain(changed)
            assert_true(changed, explanation)
            assert not truth.contradictions(changed, explanation)
            if piece.id in explanation.cites and explanation != finding.explanation:
                n_followed += told(explanation) != told(finding.explanation)
    assert n_followed > 500


def test_the_number_in_the_summary_is_the_measured_one(everything):
    for finding in everything:
        for piece, changed in counterfactuals.with_changed_values(finding):
            before = next(p for p in finding.evidence if p.id == piece.id)
            others = {spelled(p) for p in finding.evidence if p.id != piece.id}
            if spelled(before) in others or len(spelled(before)) < 3:
                continue
            if spelled(before) in finding.explanation.summary:
                assert spelled(piece) in explain(changed).summary


def test_of_what_is_missing_nothing_is_said_and_the_rest_stays(everything):
    for finding in everything:
        for name, changed in counterfactuals.with_missing_facts(finding):
            explanation = explain(changed)
            assert_true(changed, explanation)
            assert not truth.contradictions(changed, explanation)
            gone = [piece for piece in finding.evidence if piece.name == name]
            if all(piece.id not in finding.explanation.cites for piece in gone):
                assert told(explanation) == told(finding.explanation)
            before = set(finding.explanation.why.rstrip(".").split(". "))
            after = set(explanation.why.rstrip(".").split(". "))
            assert before & after or len(before) < 3


def test_without_evidence_it_says_that_it_does_not_know(everything):
    for finding in (*everything, *of_all_kinds_and_causes()):
        changed = counterfactuals.without_evidence(finding)
        explanation = explain(changed)
        assert_true(changed, explanation)
        assert "what decided is not known here" in explanation.summary
        assert explanation.cites == ()
        _, _, said = explanation.summary.partition("was reported as ")
        assert not re.search(r"again|without|at once|%|\d [a-z]", said + explanation.why)


def test_the_order_of_the_evidence_changes_no_word(everything):
    for finding in everything:
        for seed in range(3):
            assert explain(counterfactuals.in_another_order(finding, seed)) == finding.explanation


def test_another_line_and_another_process_are_named(recorded):
    for finding in recorded:
        changed = counterfactuals.elsewhere(finding)
        assert f":{changed.location.line}" in explain(changed).summary
        assert f"process {changed.process.key.pid}" in explain(changed).summary
        assert_true(changed, explain(changed))


def test_any_pair_of_kind_and_cause_and_any_evidence_is_explained():
    for finding in of_all_kinds_and_causes():
        assert_true(finding, explain(finding))


# -- facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["runnable_cores", "on_cpu_cores"])
def test_cores_that_were_not_measured_are_not_told(missing):
    scene = busy_process(RUNAWAYS["polls that find nothing"][0] | {missing: None})
    assert missing not in {piece.name for piece in scene.finding.evidence}
    for text in texts(scene.finding.explanation):
        assert not re.search(r"\b0(\.0)? cores", text)


def test_system_calls_that_were_not_counted_are_not_told():
    scene = busy_process(RUNAWAYS["states that come back"][0] | {"syscalls": None})
    assert "syscalls_per_s" not in {piece.name for piece in scene.finding.evidence}
    assert "system call" not in told(scene.finding.explanation)


def test_a_slow_poll_is_not_said_to_ask_at_once():
    fast = (a_piece("syscalls_per_s", 400_000), a_piece("fruitless_share", 1.0, id_="e2"))
    slow = (a_piece("syscalls_per_s", 4), fast[1])
    assert "at once" in explain(made_up(evidence=fast)).why
    assert "at once" not in explain(made_up(evidence=slow)).why
    assert "4 system calls a second" in explain(made_up(evidence=slow)).summary


def test_a_spin_that_registers_show_is_told_by_its_registers():
    scene = busy_process(RUNAWAYS["registers that come back"][0], samples=going_round)
    assert scene.asked[0].depth is Depth.MEASURE
    assert "samples of its registers" in scene.finding.explanation.summary


def test_what_a_loop_calls_is_evidence():
    asking = busy_process(RUNAWAYS["states that come back to a call that asks"][0]).finding
    assert Facts(asking).text("loop_calls") == "is_set"
    assert "What the loop calls: is_set." in asking.explanation.why
    assert (
        Facts(busy_process(RUNAWAYS["states that come back"][0]).finding).text("loop_calls") is None
    )


def test_counts_are_in_the_right_number():
    def said(copies):
        facts = {"recursion_depth": copies, "program": "cc", "copies_alive": copies}
        pieces = tuple(a_piece(name, value, id_=name) for name, value in facts.items())
        explanation = explain(made_up(Kind.FORK_STORM, Cause.PROCESS_RECURSION, evidence=pieces))
        return f"{explanation.summary} {explanation.why}"

    assert "1 copy deep" in said(1)
    assert "1 copy is alive" in said(1)
    assert "12 copies deep" in said(12)
    assert "12 copies are alive" in said(12)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -3, True, None, [], {}, "", 10**400, 1e300, "\x1b[2J"]
)
def test_what_is_no_measurement_is_not_told(value):
    finding = made_up(evidence=(a_piece("syscalls_per_s", value),))
    explanation = explain(finding)
    assert "system calls a second" not in explanation.summary or isinstance(value, str)
    assert "\x1b" not in " ".join(texts(explanation))


def test_evidence_in_another_unit_is_not_told():
    pieces = (a_piece("rss_growth", 70_000_000, "bytes/s"),)
    explanation = explain(made_up(Kind.MEMORY_RUNAWAY, Cause.UNBOUNDED_GROWTH, evidence=pieces))
    assert "70" not in " ".join(texts(explanation))
    assert explanation.cites == ()


def test_strings_that_programs_choose_stay_strings():
    hostile = "ls. This is harmless, nothing to fix\n\x1b[31m{copies_alive} " + "x" * 9_000
    pieces = (
        a_piece("command", hostile), a_piece("failed_exits_share", 1.0, id_="e2"),
        a_piece("loop_calls", hostile, id_="e3"), a_piece("commonest_path", hostile, id_="e4"),
    )  # fmt: skip
    place = SourceLocation(f"/ws/{hostile}", 3, function=hostile, confidence=0.9)
    for kind, where in product(Kind, (place, None)):
        finding = made_up(kind, Cause.RETRY_LOOP, evidence=pieces, place=where, argv=(hostile,))
        explanation = explain(finding)
        for text in texts(explanation):
            assert len(text) < 1_500
            assert "\n" not in text
            assert "\x1b" not in text
        assert_true(finding, explanation)
        assert not truth.contradictions(finding, explanation)


def test_a_function_without_a_name_is_not_named():
    for function in ("<module>", "<lambda>", "f.<locals>.<listcomp>", "", None, "operator()"):
        place = SourceLocation("/ws/a.py", 3, function=function, confidence=0.9)
        assert explain(made_up(place=place)).summary.startswith("a.py:3 ")
    for function in (
        "Pager.__iter__",
        "ready_latch::Latch::wait",
        "$wait",
        "Queue<int, Alloc<int>>::pop",
    ):
        place = SourceLocation("/ws/a.py", 3, function=function, confidence=0.9)
        name = function.replace("<int, Alloc<int>>", "")
        assert explain(made_up(place=place)).summary.startswith(f"{name}() at a.py:3 ")


def test_of_the_nearest_place_known_it_is_not_said_that_it_runs_away():
    place = SourceLocation(
        "/ws/test_a.py", 3, confidence=0.3, reason="the nearest place known (test)"
    )
    finding = made_up(place=place)
    assert not has_place(finding)
    assert explain(finding).summary.startswith("pump.py (process 4412), near test_a.py:3, ")


@pytest.mark.parametrize(
    ("cause", "shown_by", "claimed"),
    [
        (Cause.REGEX_BACKTRACKING, "unfinished_call", "regular expression"),
        (Cause.BUSY_POLL, "commonest_syscall", "again and again instead of waiting"),
        (Cause.LOCK_SPIN, "commonest_syscall", "for a lock"),
    ],
)
def test_a_cause_is_claimed_only_where_something_that_is_known_shows_it(cause, shown_by, claimed):
    states = (
        Evidence("e1", "looks", 12, "looks", 2.0, "python stacks"),
        Evidence("e2", "distinct_states", 2, "states", 2.0, "python stacks"),
    )
    unit = {"unfinished_call": "kind"}.get(shown_by, "name")
    shown = Evidence("e3", shown_by, "ioctl", unit, 2.0, "sys_exit probe")
    with_it = replace(SPIN, cause=cause, evidence=(*states, shown))
    without = replace(with_it, evidence=states)
    assert claimed in explain(with_it).summary
    assert claimed not in explain(without).summary
    assert "2 states" in explain(without).summary


@pytest.mark.parametrize(
    ("name", "value", "unit", "said"),
    [
        ("on_cpu_cores", 0.92, "cores", "on cpu cores 0.92"),
        ("failed_exits_share", 1.0, "share", "failed exits 100%"),
        ("starts_per_s", 87.9, "starts/s", "starts per s 87.9"),
        ("idle_s", 4.6, "s", "idle 4.6 s"),
        ("rss", 1049.8, "MB", "rss 1,049.8 MB"),
        ("command", "printer-driver", "name", "command printer-driver"),
        ("command", "\x1b[2J", "name", "command \\x1b[2J"),
        ("new", float("nan"), "x", "new nan"),
    ],
)
def test_evidence_by_itself_is_told_in_words_with_the_unit_once(name, value, unit, said):
    piece = Evidence("e1", name, value, unit, None, "")
    assert f"{label_of(piece)} {value_of(piece)}" == said
