"""What is said about a finding is what was measured, and nothing else.

Many findings are made, of every kind and with all sorts of figures; each number in their texts
must be in the evidence that they cite.
"""

import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from linnix_ls.core.examination import Depth, Wait
from linnix_ls.core.findings import Cause, Kind
from tests.core.runaways import RUNAWAYS, dive, retries, rounds_of_two, slow_retries
from tests.core.scenes import Scene, busy_process, calls, frame, going_round, look

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?%?")


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


def test_they_are_of_all_kinds_and_causes(many):
    assert {finding.kind for finding in many} == set(Kind)
    assert {finding.cause for finding in many} >= set(Cause) - {Cause.OTHER}
    assert min(Counter(finding.cause for finding in many).values()) >= 5


def test_what_each_piece_of_evidence_is_called_is_in_the_docs(many):
    page = (Path(__file__).parents[2] / "docs" / "findings-document.md").read_text()
    for name in {piece.name for finding in many for piece in finding.evidence}:
        assert f"`{name}`" in page


# -- what is said --------------------------------------------------------------------------------


def texts(finding):
    explanation = finding.explanation
    return [explanation.summary, explanation.why, *explanation.fix]


def names_in(finding):
    """What things are called, which may have digits in it, longest first."""
    names = [f"process {finding.process.key.pid}", *finding.process.argv]
    names += [word.rsplit("/", 1)[-1] for word in finding.process.argv]
    if finding.location:
        file = finding.location.path.rsplit("/", 1)[-1]
        names += [f"{file}:{finding.location.line}", finding.location.function or ""]
    names += [piece.value for piece in cited(finding) if isinstance(piece.value, str)]
    return sorted(filter(None, names), key=len, reverse=True)


def cited(finding):
    return [piece for piece in finding.evidence if piece.id in finding.explanation.cites]


def spellings(piece):
    """How a measured value may be written."""
    if isinstance(piece.value, str):
        return set()
    plain = {f"{piece.value:,}", f"{piece.value}"}
    percent = f"{piece.value:.1%}"
    return plain | ({percent, percent.replace(".0%", "%")} if piece.unit == "share" else set())


def test_every_number_is_in_the_evidence_that_is_cited(many):
    for finding in many:
        known = set().union(*map(spellings, cited(finding)))
        for text in texts(finding):
            for name in names_in(finding):
                text = text.replace(name, "")  # noqa: PLW2901
            assert set(NUMBER.findall(text)) <= known, (text, finding.evidence)


def test_citations_are_evidence_of_the_finding(many):
    for finding in many:
        ids = [piece.id for piece in finding.evidence]
        assert len(ids) == len(set(ids))
        assert set(finding.explanation.cites) <= set(ids)
        assert finding.explanation.cites


def test_nothing_is_said_of_what_is_not_known(many):
    for finding in many:
        for text in texts(finding):
            assert not re.search(r"\b(None|nan|inf|null|unknown)\b", text), text
            assert "  " not in text
            assert text == text.strip()
            assert text


def test_every_finding_has_a_summary_a_reason_and_something_to_do(many):
    for finding in many:
        explanation = finding.explanation
        assert explanation.by == "rules"
        assert explanation.why.endswith(".")
        assert explanation.fix
        assert all(line.endswith(".") for line in explanation.fix)
        assert "\n" not in explanation.summary


def test_the_place_is_said_where_it_is_known(many):
    n_with_place = 0
    for finding in many:
        if finding.location:
            n_with_place += 1
            file = finding.location.path.rsplit("/", 1)[-1]
            assert f"{file}:{finding.location.line}" in finding.explanation.summary
    assert n_with_place > 10


@pytest.mark.parametrize("missing", ["runnable_cores", "on_cpu_cores"])
def test_cores_that_were_not_measured_are_not_told(missing):
    scene = busy_process(RUNAWAYS["polls that find nothing"][0] | {missing: None})
    assert missing not in {piece.name for piece in scene.finding.evidence}
    for text in texts(scene.finding):
        assert not re.search(r"\b0(\.0)? cores", text)


def test_system_calls_that_were_not_counted_are_not_told():
    scene = busy_process(RUNAWAYS["states that come back"][0] | {"syscalls": None})
    assert "syscalls_per_s" not in {piece.name for piece in scene.finding.evidence}
    assert "system call" not in " ".join(texts(scene.finding))


def test_a_spin_that_registers_show_is_told_by_its_registers():
    scene = busy_process(RUNAWAYS["registers that come back"][0], samples=going_round)
    assert scene.asked[0].depth is Depth.MEASURE
    assert "samples of its registers" in scene.finding.explanation.why
