"""Who uses a CPU and gets nowhere, and who is only busy."""

from dataclasses import replace

import pytest

from linnix_ls.core.findings import Severity
from tests.core.runaways import (
    COLLECTING,
    COMING_BACK,
    FAILING,
    MB,
    POLL,
    REGISTERS,
    ROUNDS,
    RUNAWAYS,
    TEMPLATES,
    TIGHT_LOOP,
    YIELDING,
)
from tests.core.scenes import (
    SOMEWHERE,
    STILL,
    Scene,
    busy_process,
    calls,
    frame,
    going_round,
    look,
    looks,
    rounds,
)


def causes(look, **scene):
    return [cause for _, cause, _ in busy_process(look, **scene).verdicts]


@pytest.mark.parametrize(("look", "cause", "scene"), RUNAWAYS.values(), ids=RUNAWAYS)
def test_each_way_to_get_nowhere_is_seen(look, cause, scene):
    assert causes(look, **scene) == [cause]


def test_a_spin_is_found_within_two_seconds_and_began_before():
    scene = busy_process(POLL | SOMEWHERE, seconds=2)
    finding = scene.finding
    assert (finding.flagged_ns - finding.onset_ns) / 1e9 < 2
    assert finding.severity is Severity.WARNING
    assert finding.confidence > 0.8


def test_what_is_nowhere_in_the_users_files_is_said_quietly():
    assert busy_process(POLL).finding.severity is Severity.INFORMATION


def test_what_is_collected_without_end_is_about_memory():
    [(kind, _, _)] = busy_process(COLLECTING, seconds=12).verdicts
    assert kind == "memory_runaway"


@pytest.mark.parametrize(
    ("rss_bytes", "severity"),
    [(4_000 * MB, Severity.WARNING), (100 * MB, Severity.INFORMATION)],
)
def test_memory_is_a_warning_when_it_is_much(rss_bytes, severity):
    growing = {"rss_bytes": lambda now_s: round(rss_bytes + (now_s - 1_000) * 30 * MB)}
    scene = busy_process(COLLECTING | growing, seconds=8)
    assert scene.finding.severity is severity


def test_a_compilation_began_when_the_compiler_did():
    scene = busy_process(TEMPLATES, command="cc1plus a.cpp", seconds=20)
    assert scene.finding.onset_ns < 1_001e9


def test_the_surer_the_signs_the_surer_the_finding():
    both, one = (busy_process(look).finding.confidence for look in (POLL, FAILING))
    assert both > one


def test_a_large_source_may_look_like_an_explosion_so_that_is_said_quietly():
    scene = busy_process(TEMPLATES, command="cc1plus a.cpp", seconds=20)
    assert scene.finding.severity is Severity.INFORMATION


# -- innocents -----------------------------------------------------------------------------------

COMPILING = {
    "syscalls": (calls("read", 400), calls("brk", 300), calls("newfstatat", 500, failing=0.9)),
    "page_faults_per_s": 12_000.0, "rss_bytes": 250 * MB, "rss_growth_bytes_per_s": 30.0 * MB,
}  # fmt: skip


def states(drawn, **changed):
    """Looks at a Python program in those states, at a line that calls something."""
    return {
        **COMING_BACK, "stacks": looks(drawn, frame(has_call=True)), **changed
    }  # fmt: skip


INNOCENTS = {
    "a compiler": (COMPILING, {"command": "cc1plus big.cpp", "seconds": 20}),
    "a compiler that has just begun": (
        TEMPLATES, {"command": "cc1plus big.cpp", "seconds": 3}
    ),
    "a compiler that is still small": (
        TEMPLATES | {"rss_bytes": 60 * MB}, {"command": "cc1plus big.cpp", "seconds": 20}
    ),
    "a native loop of few instructions that computes": (
        REGISTERS, {"samples": lambda key, n: ((0x1000 + n % 3,), 1 + n)}
    ),
    "a native loop through much code": (
        REGISTERS, {"samples": lambda key, n: ((0x1000 + n * 7919 % 4096,), 1 + n % 3)}
    ),
    "a compiler of a large source": (
        COMPILING | {"rss_bytes": 800 * MB}, {"command": "cc1plus big.cpp", "seconds": 20}
    ),
    "another program that grows like a compiler": (TEMPLATES, {"seconds": 20}),
    "long native calls one after another": (states("AAAABBBBCCCC"), {}),
    "numpy: two calls, left for good": (states("AAAAAABBBBBB"), {}),
    "key derivation: one call that takes its time": (states("AAAAAAAAAAAA"), {}),
    "one call in a source that was not understood": (
        states("AAAAAAAAAAAA", stacks=looks("AAAAAAAAAAAA", frame(has_call=None))), {}
    ),
    "many states, of which some come back": (states("ABCDEFGHABCD"), {}),
    "regular expressions one after another": (
        states(
            "AAAABBBBCCCC",
            stacks=tuple(
                look(frame(line=n // 4, has_call=True), state=n // 4, leaf="regex")
                for n in range(4, 16)
            ),
        ),
        {},
    ),
    "ever new states": (states("ABCDEFGHIJKL"), {}),
    "a program that counts somewhere": (
        states("ABABABAABBAB", memory=replace(STILL, n_advancing_words=2)), {}
    ),
    "a tight loop that counts": (TIGHT_LOOP | {"memory": replace(STILL, n_advancing_words=1)}, {}),
    "a program that computes in place": (
        states("ABABABAABBAB", memory=replace(STILL, n_never_same_words=900)), {}
    ),
    "a program that works through memory": (
        states("ABABABAABBAB", memory=replace(STILL, n_changed_pages=5_000)), {}
    ),
    "a program that writes": (states("ABABABAABBAB", syscalls=(calls("write", 2_000),)), {}),
    "a tight loop that is paused to write": (
        TIGHT_LOOP | {"syscalls": (calls("write", 2_000),)}, {}
    ),
    "a native computation": (REGISTERS, {}),
    "a native loop that touches new memory": (
        REGISTERS | {"page_faults_per_s": 20_000.0}, {"samples": going_round}
    ),
    "a native loop that calls the kernel": (
        REGISTERS | {"syscalls": (calls("read", 3_000),)}, {"samples": going_round}
    ),
    "a busy server, which sleeps between requests": (
        {
            "syscalls": (calls("epoll_wait", 20_000, finding_nothing=0.95),),
            "voluntary_switches_per_s": 15_000.0,
        },
        {},
    ),
    "threads that contend for a lock and get on": (YIELDING, {}),
    "a build, half of whose questions fail": (
        {"syscalls": (calls("openat", 8_000, failing=0.45), calls("read", 8_000))}, {}
    ),
    "a copy program": ({"syscalls": (calls("read", 20_000), calls("write", 20_000))}, {}),
    "a fast copy program": ({"syscalls": (calls("read", 80_000), calls("write", 80_000))}, {}),
    "a computation with a deadline, where the clock is a system call": (
        {"syscalls": (calls("clock_gettime", 180_000), calls("brk", 3))}, {}
    ),
    "a slow poll": ({"syscalls": (calls("poll", 50, finding_nothing=1.0),)}, {}),
    "calls for which nothing is success": (
        {"syscalls": (calls("munmap", 30_000, finding_nothing=1.0),)}, {}
    ),
    "a computation that looks at the clock": (
        {"syscalls": (calls("clock_gettime", 200_000, finding_nothing=1.0),)}, {}
    ),
    "half a CPU": (POLL | {"on_cpu_cores": 0.3, "runnable_cores": 0.35}, {}),
    "a cache that is filled, dropped and filled again": (
        COLLECTING | {"rss_bytes": lambda now_s: round(200 * MB + now_s % 1 * 80 * MB)},
        {"seconds": 12},
    ),
    "a result that grows slowly": (
        COLLECTING
        | {
            "rss_growth_bytes_per_s": 0.5 * MB,
            "rss_bytes": 90 * MB,
            "memory": replace(STILL, n_advancing_words=5),
        },
        {"seconds": 12},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("look", "scene"), INNOCENTS.values(), ids=INNOCENTS)
def test_the_busy_are_acquitted(look, scene):
    scene = busy_process(look, **scene)
    assert scene.asked, "it should have been looked at"
    assert scene.verdicts == []


def test_who_uses_a_quarter_of_a_cpu_is_not_even_looked_at():
    scene = Scene()
    child = scene.start(scene.run(), "python3 pump.py")
    scene.is_busy(child, share=0.25)
    scene.passes(4)
    assert [request for request in scene.asked if request.depth == "measure"] == []


# What is too fast for a spin on a calm machine is so at a quarter of the speed with four times as
# many tasks as CPUs: both get on.
STARVED = {
    "calls": {"syscalls": (calls("clock_gettime", 400),)},
    "calls that achieve something": {"syscalls": (calls("write", 8),)},
    "new memory": {"page_faults_per_s": 40.0},
}


@pytest.mark.parametrize("name", STARVED)
def test_who_is_starved_gets_on_slowly_and_is_acquitted(name):
    look = REGISTERS | STARVED[name]
    assert causes(look, samples=going_round) == ["pure_loop"]
    assert causes(look, samples=going_round, n_runnable=8) == []


def test_on_a_loaded_machine_memory_grows_as_slowly_as_everything():
    slowly = COLLECTING | {
        "rss_bytes": lambda now_s: round(300 * MB + now_s % 1_000 * 6 * MB),
        "rss_growth_bytes_per_s": 6.0 * MB,
    }
    assert "unbounded_growth" not in causes(slowly, seconds=12)
    assert causes(slowly, seconds=12, n_runnable=8) == ["unbounded_growth"]


def test_on_a_loaded_machine_a_compiler_is_given_more_time():
    look, cause, scene = RUNAWAYS["templates that multiply"]
    assert causes(look, **scene) == [cause]
    assert causes(look, **scene, n_runnable=8) == []


# -- absent is not zero --------------------------------------------------------------------------

# For each way to be convicted, what it rests on: without that, it is not known.
NEEDED = [
    (name, missing)
    for name, needed in {
        "polls that find nothing": ["syscalls"],
        "calls that fail": ["syscalls"],
        "questions that change nothing": ["syscalls"],
        "yields in a loop": ["syscalls"],
        "a loop that calls nothing": ["stacks", "memory"],
        "states that come back": ["stacks", "memory"],
        "states that come back to a lock": ["stacks", "memory"],
        "a regular expression": ["stacks"],
        "registers that come back": ["syscalls", "page_faults_per_s"],
        "registers that come back to a lock": ["syscalls", "page_faults_per_s"],
        "a list without end": ["stacks", "rss_bytes"],
        "templates that multiply": ["rss_bytes", "rss_growth_bytes_per_s", "on_cpu_cores"],
    }.items()
    for missing in needed
]


@pytest.mark.parametrize(("name", "missing"), NEEDED)
def test_what_was_not_measured_convicts_nobody(name, missing):
    look, _, scene = RUNAWAYS[name]
    absent = () if missing == "stacks" else None
    assert causes(look | {missing: absent}, **scene) == []


# Of what fills its memory: that it is busy does not matter.
ABOUT_MEMORY = {
    "the same records again",
    "the same words again",
    "the same records but for their number",
}


@pytest.mark.parametrize("name", [name for name in RUNAWAYS if name not in ABOUT_MEMORY])
def test_without_a_measurement_of_its_cpu_nobody_is_convicted(name):
    look, _, scene = RUNAWAYS[name]
    assert causes(look | {"on_cpu_cores": None, "runnable_cores": None}, **scene) == []


def test_memory_that_was_not_seen_at_first_has_not_grown_from_nothing():
    """A large program that rises and falls; the first look could not see how large."""
    first_looks = {
        "rss_bytes": lambda now_s: None if now_s < 1_003 else round(900 * MB + now_s % 2 * MB)
    }
    assert causes(COLLECTING | first_looks, seconds=12) == []


def test_without_samples_no_registers_come_back():
    assert causes(REGISTERS, samples=lambda key, n: ((), 0)) == []


def test_looks_without_states_say_nothing():
    blind = tuple(look(frame(has_call=False)) for _ in range(12))
    assert causes(TIGHT_LOOP | {"stacks": blind}) == []


def test_long_rounds_of_which_each_begins_with_something_else_convict_nobody():
    def round_of(now_s):
        letter = chr(0x100 + round(now_s * 10))
        return rounds(letter * 12, at="ccccccclcccc")

    assert causes(ROUNDS | {"stacks": round_of}, seconds=12) == []


def test_a_few_looks_say_nothing():
    assert causes(states("ABA")) == []


def test_a_process_that_ended_meanwhile_is_not_convicted():
    assert causes(POLL | {"is_gone": True}) == []


@pytest.mark.parametrize("name", RUNAWAYS)
def test_evidence_has_measurements_only(name):
    look, _, scene = RUNAWAYS[name]
    [finding] = busy_process(look, **scene).findings
    assert {piece.id for piece in finding.evidence} == {
        f"e{n}" for n in range(1, len(finding.evidence) + 1)
    }
    for piece in finding.evidence:
        assert piece.value is not None
        assert piece.unit
        assert piece.source
    names = {piece.name for piece in finding.evidence}
    assert ("syscalls_per_s" in names) <= (look.get("syscalls") is not None)
    assert ("rss" in names) <= ("rss_bytes" in look)
