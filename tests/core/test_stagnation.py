"""Who gets nowhere, by signs that need company: for each, who looks alike and gets somewhere."""

from dataclasses import replace

import pytest

from tests.core.runaways import (
    ASKING_WHETHER,
    COMING_BACK,
    CONDITIONS,
    INTERPRETING,
    LOOKING_FOR_A_FILE,
    MATCHING,
    MOTIONLESS,
    NO_CALLS,
    PERL,
    READING_ANEW,
    REGEX,
    REGISTERS,
    ROUNDS,
    RUNAWAYS,
    YIELDING,
)
from tests.core.scenes import (
    STILL,
    busy_process,
    calls,
    conditions,
    frame,
    going_round,
    look,
    looks,
    lookups,
    motions,
    rounds,
)


def causes(look, **scene):
    return [cause for _, cause, _ in busy_process(look, **scene).verdicts]


def evidence(look, **scene):
    finding = busy_process(look, **scene).finding
    return {piece.name: piece.value for piece in finding.evidence}


def said(look, **scene):
    explanation = busy_process(look, **scene).finding.explanation
    return f"{explanation.summary}. {explanation.why}"


def one_of_two_works(key, n):
    """Two threads: one waits in a loop for the other, which computes."""
    if n % 2:
        return (0x1000 + n % 3,), 1 + n % 3, 7
    return (0x1000 + n % 3,), 1 + n, 8


def many_in_a_loop(key, n):
    """Four threads in the same loop, each of which counts a little of what a loop counts."""
    return (0x1000 + n % 3,), 1 + n % 3, 7 + n % 4


BY_THE_CLOCK = {"has_call": True, "is_timed": True, "loops": ((40, 43),)}
LINES_OF_TEXT = looks("AAAABBBBCCCC", frame("scan", 12, has_call=True), leaf="regex")

INNOCENTS = {
    # -- calls
    "a server under load that polls, of which three in a hundred bring something": {
        "syscalls": (
            calls("epoll_wait", 100_000, finding_nothing=0.9), calls("recvfrom", 3_100),
        ),
    },
    "a server that polls between answers, more than a thousand a second": {
        "syscalls": (calls("epoll_wait", 300_000, finding_nothing=1.0), calls("sendto", 1_200)),
    },
    "find, which looks at ever other files": {
        "syscalls": (
            lookups("newfstatat", 60_000, of=38_000, failing=0.0),
            lookups("openat", 20_000, of=14_000, failing=0.0), calls("getdents64", 40_000),
        ),
    },
    "a search through folders, where most is not there": {
        "syscalls": (lookups("openat", 40_000, of=20_000, failing=0.97),),
    },
    "a search for modules, which asks for each a few times": {
        "syscalls": (lookups("stat", 30_000, of=4_000, failing=0.95),),
    },
    "who reads many files, each once": {
        "syscalls": (
            lookups("openat", 40_000, of=25_000, failing=0.0),
            calls("read", 80_000, finding_nothing=0.5), calls("close", 40_000),
        ),
    },
    "a computation that asks the clock and who it is": {
        "syscalls": (calls("clock_gettime", 150_000), calls("getpid", 80_000)),
    },
    "a process that only renames itself": {"syscalls": (calls("prctl", 400_000),)},
    "a computation that is interrupted by its profiler": {
        "syscalls": (calls("rt_sigreturn", 100_000), calls("getcpu", 50_000)),
    },
    "who looks up from its work once in a tenth of a millisecond": {
        "syscalls": (calls("poll", 9_000, finding_nothing=1.0),),
    },
    "a poll that leaves bytes behind": {
        "syscalls": (calls("poll", 50_000, finding_nothing=1.0), calls("write", 600)),
    },
    # -- variables
    "a benchmark that ends by the clock": {
        **COMING_BACK, "stacks": looks("ABABABAABBAB", frame(**BY_THE_CLOCK)),
    },
    "a condition of which something gets on": {
        **CONDITIONS,
        "stacks": conditions("ABCDEFGHIJKL", looks("ABCDEFGHIJKL", frame(has_call=True))),
    },
    "a condition that is the same until it is not": {
        **CONDITIONS,
        "stacks": conditions("AAAAAAAAAAAA", looks("ABCDEFGHIJKL", frame(has_call=True))),
    },
    "a condition that comes back once or twice": {
        **CONDITIONS,
        "stacks": conditions("ABAABBCCDEFG", looks("ABCDEFGHIJKL", frame(has_call=True))),
    },
    "conditions of a few looks among many": {
        **CONDITIONS,
        "stacks": (
            *conditions("ABABAB", looks("ABCDEF", frame(has_call=True))),
            *looks("GHIJKL", frame(has_call=True)),
        ),
    },
    "a condition that comes back, in a benchmark that ends by the clock": {
        **CONDITIONS,
        "stacks": conditions("ABCABCABCABC", looks("ABCDEFGHIJKL", frame(**BY_THE_CLOCK))),
    },
    "a condition that comes back while the program writes": {
        **CONDITIONS, "syscalls": (calls("write", 900),),
    },
    "one long native call in a loop": {**INTERPRETING, "interpreter_share": 0.02},
    "an interpreter of which no samples are known": {**INTERPRETING, "interpreter_share": None},
    "one call outside of any loop": {
        **INTERPRETING, "stacks": looks("AAAAAAAAAAAA", frame(has_call=True)),
    },
    "an interpreter that runs, and something counts": {
        **INTERPRETING, "memory": replace(STILL, n_advancing_words=1),
    },
    "perl, which counts more than by itself": {
        **PERL, "memory": replace(STILL, n_advancing_words=3),
    },
    "another language that counts as much as perl by itself": {**PERL, "language": "python"},
    # -- rounds
    "rounds that begin with something else each": {
        **ROUNDS, "stacks": rounds("ABCDEFGHIJKL", at="lclclclclclc"),
    },
    "rounds that were never left for a call": {**ROUNDS, "stacks": rounds("AAAAAAAAAAAA")},
    "a round that is one long call": {
        **ROUNDS, "stacks": rounds("AAAAAAAAAAAA", at="cccccccccccc"),
    },
    "rounds that begin alike, and two things count": {
        **ROUNDS, "memory": replace(STILL, n_advancing_words=2),
    },
    "rounds that begin alike, and the memory is not known": {**ROUNDS, "memory": None},
    "rounds that begin alike until the clock says so": {
        **ROUNDS, "stacks": rounds("AAAAAAAAAAAA", at="lclclclclclc", is_timed=True),
    },
    "rounds that begin alike, and what they do is written": {
        **ROUNDS, "syscalls": (calls("write", 900),),
    },
    # -- compiled code
    "a numeric loop whose counter is in a register": {
        **MOTIONLESS, "motions": motions(n_advancing=1),
    },
    "threads of which one counts": {
        **MOTIONLESS, "motions": (*motions(), *motions(n_advancing=1, tid=2)),
    },
    "threads of which one was seen too little": {
        **MOTIONLESS, "motions": (*motions(), *motions(n_looks=5, tid=2)),
    },
    "a thread that was seen too little": {**MOTIONLESS, "motions": motions(n_looks=7)},
    "a thread that nobody saw": {**MOTIONLESS, "motions": ()},
    "compiled code that writes results": {
        **MOTIONLESS, "memory": replace(STILL, n_left_words=20),
    },
    "compiled code that counts in memory": {
        **MOTIONLESS, "memory": replace(STILL, n_advancing_words=1),
    },
    "compiled code that fills a table in place": {
        **MOTIONLESS, "memory": replace(STILL, n_never_same_words=60),
    },
    "compiled code that works through memory": {
        **MOTIONLESS, "memory": replace(STILL, n_changed_pages=300),
    },
    "compiled code whose memory is too much to read": {**MOTIONLESS, "memory": None},
    "compiled code that reads": {**MOTIONLESS, "syscalls": (calls("read", 60),)},
    "compiled code of which no calls were counted": {**MOTIONLESS, "syscalls": None},
    "compiled code that touches new memory": {**MOTIONLESS, "page_faults_per_s": 500.0},
    # -- regular expressions
    "lines of a text, each matched for a while": {
        **REGEX, "memory": STILL, "stacks": LINES_OF_TEXT,
    },
    "one text after another, matched in compiled code": {
        **MATCHING, "memory": replace(STILL, n_changed_pages=300),
    },
    "matches in compiled code of which a program counts": {
        **MATCHING, "memory": replace(STILL, n_advancing_words=1),
    },
    "matches in compiled code from several lines": {
        **MATCHING,
        "stacks": tuple(
            look(frame("Word.check", 12 + n % 2, "/ws/Word.java"), leaf="regex") for n in range(4)
        ),
    },
    "matches in compiled code of which some looks are elsewhere": {
        **MATCHING,
        "stacks": (*MATCHING["stacks"][1:], look(frame("Word.check", 12, "/ws/Word.java"))),
    },
    "too few looks at a match in compiled code": {**MATCHING, "stacks": MATCHING["stacks"][:3]},
    "a match in compiled code whose memory is not known": {**MATCHING, "memory": None},
}  # fmt: skip


@pytest.mark.parametrize("look", INNOCENTS.values(), ids=INNOCENTS)
def test_who_only_looks_like_it_is_acquitted(look):
    scene = busy_process(look, seconds=6)
    assert len(scene.asked) > 1
    assert scene.verdicts == []


def test_of_threads_that_wait_for_one_that_works_nobody_is_accused():
    assert causes(REGISTERS, samples=one_of_two_works) == []


def test_threads_that_all_go_round_are_accused():
    assert causes(REGISTERS, samples=many_in_a_loop) == ["pure_loop"]


def test_threads_that_yield_in_turn_are_accused_only_if_none_gets_on():
    assert causes(YIELDING, samples=many_in_a_loop) == ["lock_spin"]


@pytest.mark.parametrize(
    "name",
    [
        "rounds that begin alike",
        "compiled code of which nothing moves",
        "a match in compiled code",
    ],
)
def test_what_may_be_chance_is_seen_twice_before_it_is_said(name):
    look, _, _ = RUNAWAYS[name]
    assert causes(look, seconds=1.5) == []
    scene = busy_process(look, seconds=4)
    assert scene.verdicts
    assert len(scene.asked) == 2


@pytest.mark.parametrize("look", [ROUNDS, MOTIONLESS, MATCHING], ids=["rounds", "motion", "match"])
def test_what_stood_still_once_and_then_moves_is_acquitted(look):
    moving = replace(STILL, n_left_words=90, n_advancing_words=9)
    then = {"memory": lambda now_s: STILL if now_s < 1_001.8 else moving}
    scene = busy_process(look | then, seconds=8)
    assert len(scene.asked) > 2
    assert scene.verdicts == []


# -- what is measured ----------------------------------------------------------------------------


def test_calls_are_measured_against_cpu_time():
    """On a loaded machine it gets a third of a CPU, and asks a third as often."""
    starved = {
        "on_cpu_cores": 0.3, "runnable_cores": 1.0,
        "syscalls": (calls("epoll_wait", 5_000, finding_nothing=1.0),),
    }  # fmt: skip
    assert causes(starved) == ["busy_poll"]
    assert causes(starved | {"on_cpu_cores": 1.0}) == []


def test_calls_that_ask_nothing_are_not_counted_as_calls():
    polls = calls("epoll_wait", 30_000, finding_nothing=1.0)
    found = evidence({"syscalls": (calls("clock_gettime", 900_000), polls)})
    assert found["commonest_syscall"] == "epoll_wait"
    assert found["syscalls_per_s"] == pytest.approx(30_000, rel=0.01)
    assert found["fruitless_share"] == 1.0


def test_a_file_that_is_asked_for_is_named():
    found = evidence(LOOKING_FOR_A_FILE)
    assert (found["commonest_path"], found["paths"]) == ("/ws/ready", 1)
    assert "/ws/ready" in said(LOOKING_FOR_A_FILE)
    assert "/ws/ready" in said(READING_ANEW)


def test_a_poll_is_about_what_it_polls_and_not_about_a_file_beside_it():
    polls = calls("epoll_wait", 200_000, finding_nothing=1.0)
    beside = {"syscalls": (polls, lookups("openat", 3, of=1, failing=0.0, path="/etc/hosts"))}
    assert causes(beside) == ["busy_poll"]
    assert "/etc/hosts" not in said(beside)


def test_who_polls_and_wakes_itself_now_and_then_polls():
    waking = (calls("epoll_wait", 200_000, finding_nothing=1.0), calls("write", 300))
    assert causes({"syscalls": waking}) == ["busy_poll"]


def test_a_few_files_are_asked_for_as_well_as_one():
    assert causes({"syscalls": (lookups("access", 20_000, of=40),)}) == ["busy_poll"]


def test_paths_that_could_not_be_told_apart_are_many():
    """Too long, or more than there was room for."""
    unknown = replace(lookups("openat", 40_000, of=28_000), commonest_path=None)
    assert causes({"syscalls": (unknown,)}) == []


# -- what is said --------------------------------------------------------------------------------


def test_of_a_condition_that_comes_back_only_the_condition_is_said_to():
    """The states themselves were all different."""
    why = said(CONDITIONS)
    assert "in 12 looks what should end the loop was always one of the same 3 values" in why
    assert "comes back to where it was" not in why
    assert "12 different states" not in why


def test_of_rounds_their_beginnings_are_told():
    why = said(ROUNDS)
    assert "its rounds always began alike" in why
    assert "comes back to where it was" not in why
    assert "counts up or down" not in why  # one word did


def test_of_compiled_code_registers_and_stack_are_told():
    why = said(MOTIONLESS)
    assert "registers" in why
    assert "Nothing in its memory counts up or down" in why


def test_of_a_match_it_is_told_that_it_is_one_and_the_same():
    assert "one and the same match" in said(MATCHING)


# -- causes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("called", "cause"),
    [
        (("acquire",), "lock_spin"),
        (("tryLock",), "lock_spin"),
        (("compareAndSet",), "lock_spin"),
        (("is_set",), "busy_poll"),
        (("get_nowait",), "busy_poll"),
        (("isEmpty",), "busy_poll"),
        (("rfind", "append"), "pure_loop"),
        ((), "pure_loop"),
    ],
)
def test_what_a_loop_calls_tells_its_cause(called, cause):
    at = frame(has_call=True, calls=called)
    assert causes(ASKING_WHETHER | {"stacks": looks("ABABABAABBAB", at)}) == [cause]


@pytest.mark.parametrize("name", ["Spin.main", "clock_tick", "block_until_done", "unblock"])
def test_what_only_sounds_like_a_lock_is_none(name):
    at = {"native_stacks": (look(frame(name, 8, "/ws/m.c")),) * 30}
    assert causes(REGISTERS | at, samples=going_round) == ["pure_loop"]


def test_what_the_user_calls_a_function_tells_nothing():
    at = frame("acquire_lock_and_poll", has_call=True)
    assert causes(COMING_BACK | {"stacks": looks("ABABABAABBAB", at)}) == ["pure_loop"]


def test_a_regular_expression_of_a_c_library_is_known_by_its_functions():
    matching = (look(frame("re_search_internal", 9, "/usr/lib/regexec.c"), frame()),) * 12
    compiled = {"syscalls": NO_CALLS, "memory": STILL, "native_stacks": matching}
    assert causes(compiled) == ["regex_backtracking"]
    assert causes(REGISTERS | {"native_stacks": matching}, samples=going_round) == [
        "regex_backtracking"
    ]
