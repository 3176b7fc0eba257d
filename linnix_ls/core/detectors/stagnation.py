"""Signs that a busy process gets nowhere.

Each is a way not to make progress: system calls that find nothing, again and again; machine
registers that come back to the same few values; a program's variables that do; one call of a
regular expression that does not return. What it means is for the detectors to say: a loop that
stands still is a spin, one that keeps what it makes is about memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from linnix_ls.core.detectors.base import EvidenceList, Scene, Suspicion
from linnix_ls.core.examination import Depth, Examination, StackSnapshot, SyscallCount
from linnix_ls.core.findings import Cause, Kind
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.core.tree import Process

# Calls that wait, or ask "is there anything?": a result of 0 means no.
_WAITING = frozenset(
    "epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 read pread64 recvfrom recvmsg"
    " recvmmsg wait4 waitid futex sched_yield clock_nanosleep nanosleep".split()
)
_ASKING = _WAITING | {"getdents64"}
_OPENING = frozenset({"open", "openat", "openat2"})
_READING = frozenset({"read", "pread64", "getdents64"})
_YIELDING = frozenset({"sched_yield"})
_LOCKING = frozenset({"futex", "sched_yield", "semop", "semtimedop", "flock", "fcntl"})
# Calls that ask nothing of the world: what time it is, who we are; or change only what the process
# is called. A computation with a deadline asks for the time, too.
_IDLE = frozenset(
    "clock_gettime gettimeofday time times getrusage getpid getppid gettid getuid geteuid getgid"
    " getegid rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack restart_syscall getcpu uname"
    " prctl sched_getaffinity".split()
)
# Calls that look at the world and change nothing in it, and those that only prepare for or clean
# up after others. That something is ready is no news to who does not take it.
_LOOKING = _IDLE | frozenset(
    "epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 epoll_ctl"
    " stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink"
    " readlinkat lseek getcwd kill tgkill ioctl fcntl flock sched_yield clock_nanosleep nanosleep"
    " futex open openat close socket socketpair pipe2 dup dup2 dup3 getsockopt setsockopt"
    " getsockname getpeername bind mmap munmap mremap brk mprotect madvise".split()
)
# Words that an interpreter counts up for itself: perl, how often a regular expression was of use.
_OWN_COUNTERS = {"perl": 2}
_REGEX_WORDS = ("regex", "regexp", "pcre", "re_search", "re_match", "regmatch", "::_executor")
_POLL_WORDS = ("poll", "empty", "ready", "get_nowait", "wait", "qsize")
# What standard libraries call it to try a lock, and to ask whether there is something.
_LOCK_CALLS = frozenset(
    "acquire trylock try_lock trylockfor tryacquire locked compareandset compare_exchange"
    " compare_exchange_weak compare_exchange_strong test_and_set".split()
)
_POLL_CALLS = frozenset(
    "poll empty isempty is_empty ready get_nowait is_set done isdone is_done try_recv peek"
    " available is_alive isalive exists wait_for selectnow qsize recv_nowait has_data".split()
)
# Fewer of one thread say nothing about it.
MIN_SAMPLES_OF_THREAD = 5
# Whole words of a function's name: a clock and a block are none, and a spin may be of anything.
_LOCK_WORDS = frozenset({"lock", "trylock", "spinlock", "acquire", "mutex", "futex"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Stagnation:
    """That a process gets nowhere, in which way, and what shows it."""

    cause: Cause
    confidence: float
    evidence: EvidenceList


def suspicions_of_the_busy(scene: Scene, kind: Kind) -> Iterable[Suspicion]:
    """Who has used most of a CPU of late: worth to be measured."""
    policy = scene.policy.spin
    window_ns = int(policy.suspicion_window_s * NS_PER_S)
    # On a loaded machine everybody gets less, and a spinner all of its share.
    threshold_ns = window_ns * policy.suspicion_cores / scene.load(policy.suspicion_window_s)
    for process in scene.tree.active():
        if not process.is_judged:
            continue
        on_cpu_ns = process.on_cpu_ns(scene.now_ns - window_ns)
        if on_cpu_ns >= threshold_ns:
            yield Suspicion(
                kind=kind,
                key=process.key,
                depth=Depth.MEASURE,
                onset_ns=max(scene.now_ns - window_ns, process.started_ns),
                weight=on_cpu_ns / window_ns,
            )


def is_calm(scene: Scene, process: Process | None) -> bool:
    """Whether a process that was busy has ended, or has used little CPU for some seconds."""
    if process is None or not process.is_alive:
        return True
    policy = scene.policy
    calm_ns = int(policy.calm_s * NS_PER_S)
    threshold_ns = calm_ns * policy.calm_cores / scene.load(policy.calm_s)
    return process.on_cpu_ns(scene.now_ns - calm_ns) < threshold_ns


def stagnation(scene: Scene, process: Process, examination: Examination) -> Stagnation | None:
    """The surest sign there is; None for who may be getting somewhere."""
    policy = scene.policy.spin
    cores = examination.runnable_cores or examination.on_cpu_cores
    if cores is None or cores < policy.min_runnable_cores:
        return None
    on_cpu_cores = examination.on_cpu_cores
    if on_cpu_cores is not None and on_cpu_cores * examination.window_s < policy.min_on_cpu_s:
        return None  # it wants to, but hardly ran: who gets no CPU stands still in every look
    if (examination.voluntary_switches_per_s or 0) > policy.max_waits_per_s:
        return None  # it does wait: a busy server
    return (
        _fruitless_syscalls(scene, process, examination)
        or _recurring_state(scene, examination)
        or _recurring_registers(scene, process, examination)
        or _unfinished_regex(scene, examination)
        or _motionless(scene, examination)
    )


def is_growing(scene: Scene, examination: Examination) -> bool:
    """Whether it takes more memory at such a rate that memory is what this is about."""
    growth = examination.rss_growth_bytes_per_s
    limit = scene.policy.memory.growth_bytes_per_s / scene.load(examination.window_s)
    return growth is not None and growth > limit


def common_evidence(examination: Examination) -> EvidenceList:
    """What every finding about a busy process tells."""
    evidence = EvidenceList()
    window_s = examination.window_s
    evidence.add("on_cpu_cores", examination.on_cpu_cores, "cores", "/proc/stat", window_s)
    evidence.add("runnable_cores", examination.runnable_cores, "cores", "/proc/schedstat", window_s)
    return evidence


def _add_advancing_words(evidence: EvidenceList, examination: Examination) -> None:
    if examination.memory is not None:
        n_words = examination.memory.n_advancing_words
        evidence.add("advancing_words", n_words, "words", "/proc/mem", examination.window_s)


def _fruitless_syscalls(
    scene: Scene, process: Process, examination: Examination
) -> Stagnation | None:
    policy = scene.policy.spin
    asked = _asked(examination)
    if asked is None or not asked.is_fruitless(scene):
        return None
    if not asked.is_waiting and not asked.is_about_the_same(policy.min_lookups_per_path):
        return None  # it searches
    is_locking = asked.n_locking >= 0.6 * asked.n_calls
    if is_locking:
        # Threads that contend for a lock yield as often, but get on with their work in between.
        measured = _registers(process, examination, scene.now_ns)
        if measured is not None and measured.new_share > policy.max_contender_registers_share:
            return None
    evidence = common_evidence(examination)
    window_s = examination.window_s
    source = "sys_exit probe"
    evidence.add("syscalls_per_s", asked.per_s, "calls/s", source, window_s)
    evidence.add("fruitless_share", asked.n_fruitless / asked.n_calls, "share", source, window_s)
    evidence.add("commonest_syscall", asked.top.name, "name", source, window_s)
    evidence.add(
        "commonest_syscall_share", asked.top.n_calls / asked.n_calls, "share", source, window_s
    )
    if asked.lookups is not None and asked.lookups.n_calls >= 0.1 * asked.n_calls:
        evidence.add("commonest_path", asked.lookups.commonest_path, "path", source, window_s)
        evidence.add("paths", asked.lookups.n_paths, "paths", source, window_s)
    cause = Cause.LOCK_SPIN if is_locking else Cause.BUSY_POLL
    is_sure = (
        asked.per_cpu_s >= policy.storm_of_syscalls_per_cpu_s
        and asked.n_fruitless >= policy.fruitless_share * asked.n_calls
    )
    return Stagnation(cause, 0.95 if is_sure else 0.85, evidence)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A process's system calls within a look; those that ask nothing are left out."""

    n_calls: int
    n_fruitless: int
    n_productive: int
    n_locking: int
    per_s: float
    productive_per_s: float
    per_cpu_s: float
    top: SyscallCount
    lookups: SyscallCount | None
    is_opening_anew: bool

    @property
    def is_waiting(self) -> bool:
        return self.top.name in _WAITING and not self.is_opening_anew

    def is_about_the_same(self, min_lookups_per_path: float) -> bool:
        """Whether it asks for the same few files all the time."""
        lookups = self.lookups
        if lookups is None:
            return not self.is_opening_anew
        return lookups.n_calls >= min_lookups_per_path * (lookups.n_paths or 1)

    def is_fruitless(self, scene: Scene) -> bool:
        """Whether nothing, or next to nothing, comes of so many of them."""
        policy = scene.policy.spin
        if (
            self.n_productive > policy.max_productive_share * self.n_calls
            or self.productive_per_s > policy.max_answers_per_s
        ):
            return False
        return self.per_cpu_s >= policy.storm_of_syscalls_per_cpu_s or (
            self.per_cpu_s >= policy.fruitless_syscalls_per_cpu_s
            and self.n_fruitless
            >= policy.fruitless_share * max(1, self.n_fruitless + self.n_productive)
        )


def _asked(examination: Examination) -> _Asked | None:
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    syscalls = [count for count in examination.syscalls if count.name not in _IDLE]
    counted_s = _counted_s(examination)
    n_calls = sum(count.n_calls for count in syscalls)
    if n_calls == 0:
        return None
    with_paths = [count for count in syscalls if count.n_paths is not None]
    n_opens = sum(count.n_calls for count in syscalls if count.name in _OPENING)
    n_reads = sum(count.n_calls for count in syscalls if count.name in _READING)
    is_opening_anew = n_opens >= 0.2 * n_reads > 0
    n_productive = _n_productive(
        # To read a file anew each time is to look at it.
        count
        for count in syscalls
        if count.name not in _READING or not is_opening_anew
    )
    return _Asked(
        n_calls=n_calls,
        n_fruitless=sum(_n_fruitless(count) for count in syscalls),
        n_productive=n_productive,
        n_locking=sum(count.n_calls for count in syscalls if count.name in _LOCKING),
        per_s=n_calls / counted_s,
        productive_per_s=n_productive / counted_s,
        # Of a loaded machine it gets less, and asks less often.
        per_cpu_s=n_calls / (counted_s * (examination.on_cpu_cores or 1.0)),
        top=max(syscalls, key=lambda count: count.n_calls),
        lookups=max(with_paths, key=lambda count: count.n_calls, default=None),
        is_opening_anew=is_opening_anew,
    )


def _n_fruitless(count: SyscallCount) -> int:
    if count.name in _YIELDING:
        return count.n_calls
    return count.n_errors + (count.n_zero if count.name in _ASKING else 0)


def _recurring_state(scene: Scene, examination: Examination) -> Stagnation | None:
    """The program's own variables come back to values that they had before.

    Coming back is the point: a program that works through long native calls is in few states
    too, but leaves each for good.
    """
    policy = scene.policy.spin
    looks = [s for s in examination.stacks if s.is_in_user_code]
    states = [look.state_hash for look in looks if look.state_hash is not None]
    if len(states) < policy.min_looks:
        return None
    productive_per_s = _productive_calls_per_s(examination)
    max_productive_per_s = policy.max_productive_calls_per_s / scene.load(examination.window_s)
    if productive_per_s is not None and productive_per_s > max_productive_per_s:
        return None  # what it does shows outside its variables
    n_distinct = len(set(states))
    is_same = n_distinct <= max(1, policy.max_distinct_states_share * len(states))
    conditions = [look.condition_hash for look in looks if look.condition_hash is not None]
    n_conditions = len(set(conditions))
    is_condition_same = (
        len(conditions) >= max(policy.min_looks, 0.8 * len(states))
        and n_conditions > 1
        and _n_returns(conditions) >= policy.min_condition_returns
    )
    if not (is_same or is_condition_same):
        return _recurring_rounds(scene, examination)
    positions = [(look.frames, look.instruction) for look in looks]
    is_one_call = len(set(positions)) == 1
    user_frames = [next(f for f in look.frames if f.is_user_code) for look in looks]
    if any(frame.is_timed for frame in user_frames):
        return None  # it takes as long as it was told to
    source = f"{examination.language} stacks with local variables"
    window_s = examination.window_s
    evidence = common_evidence(examination)
    evidence.add("looks", len(states), "looks", source, window_s)
    evidence.add("distinct_states", n_distinct, "states", source, window_s)
    evidence.add("distinct_lines", len({(f.path, f.line) for f in user_frames}), "lines", source)
    evidence.add("syscalls_per_s", _calls_per_s(examination), "calls/s", "sys_exit probe", window_s)
    if is_one_call and n_distinct == 1 and looks[0].native_leaf == "regex":
        # Of all native calls that do not return, only one cannot take seconds by design.
        evidence.add("unfinished_call", "regular expression", "kind", source, window_s)
        return Stagnation(Cause.REGEX_BACKTRACKING, 0.85, evidence)
    if not is_same:
        # Something counts, and the loop does not ask for it.
        evidence.add("distinct_conditions", n_conditions, "conditions", source, window_s)
        return Stagnation(_cause_of_recurrence(examination), 0.75, evidence)
    if _is_memory_advancing(scene, examination, _OWN_COUNTERS.get(examination.language or "", 0)):
        return None
    # It must be seen to go round: in lines that call nothing; by coming back to a state, or to a
    # place, that it had left; or because it is the interpreter that runs. Else it may be inside
    # one long native call.
    calls_nothing = all(frame.has_call is False for frame in user_frames)
    n_returns = max(_n_returns(states), _n_returns(positions))
    interpreter_share = examination.interpreter_share or 0.0
    is_interpreting = (
        all(frame.loops for frame in user_frames)
        and interpreter_share >= policy.min_interpreter_share
    )
    if n_returns < policy.min_returns and not calls_nothing and not is_interpreting:
        return None
    evidence.add("returns", n_returns, "returns", source, window_s)
    if is_interpreting:
        evidence.add("interpreter_share", interpreter_share, "share", "cpu_clock samples", window_s)
    _add_advancing_words(evidence, examination)
    return Stagnation(_cause_of_recurrence(examination), 0.85, evidence)


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Of looks at one line of a loop: how many, in which states, and how often it was come back
    to."""

    n_looks: int
    states: frozenset[int]
    n_returns: int


def _recurring_rounds(scene: Scene, examination: Examination) -> Stagnation | None:
    """A loop whose rounds begin alike, whatever they do: it is left for what it calls and come
    back to with the same variables. Seen in two examinations and more, as objects made anew may
    look like those before them, and a short round may be seen to end only now and then."""
    policy = scene.policy.spin
    rounds_before = [_rounds(scene, look) for _, look in reversed(scene.history)]
    for loop, now in _rounds(scene, examination).items():
        n_looks, states, n_returns = now.n_looks, now.states, now.n_returns
        for earlier in rounds_before:
            if (before := earlier.get(loop)) is None:
                break
            n_looks += before.n_looks
            states |= before.states
            n_returns += before.n_returns
            if len(states) > policy.max_distinct_rounds:
                break
            if n_returns < 2 * policy.min_returns:
                continue
            evidence = common_evidence(examination)
            window_s = examination.window_s
            source = f"{examination.language} stacks with local variables"
            evidence.add("looks", n_looks, "looks", source, window_s)
            evidence.add("distinct_rounds", len(states), "rounds", source, window_s)
            evidence.add("returns", n_returns, "returns", source, window_s)
            _add_advancing_words(evidence, examination)
            return Stagnation(_cause_of_recurrence(examination), 0.75, evidence)
    return None


def _rounds(scene: Scene, examination: Examination) -> dict[tuple[object, ...], _Rounds]:
    """Of each loop around what runs, outermost first, at its commonest line: none whose rounds
    differ, and none at all where memory moves on."""
    policy = scene.policy.spin
    if _is_memory_advancing(scene, examination, policy.max_words_advancing_in_rounds):
        return {}
    looks = [
        (look.round_hashes, [frame for frame in reversed(look.frames) if frame.loops])
        for look in examination.stacks
    ]
    found: dict[tuple[object, ...], _Rounds] = {}
    for depth in range(max((len(hashes) for hashes, _ in looks), default=0)):
        rounds = [(hashes[depth], frames[depth]) for hashes, frames in looks if len(hashes) > depth]
        lines = [(frame.path, frame.line) for _, frame in rounds]
        common, n_looks = Counter(lines).most_common(1)[0]
        states = {state for (state, _), line in zip(rounds, lines, strict=True) if line == common}
        if (
            n_looks >= policy.min_looks
            and len(states) <= policy.max_distinct_rounds
            and not any(frame.is_timed for _, frame in rounds)
        ):
            n_returns = sum(line == common != before for before, line in pairwise(lines))
            found[depth, *common] = _Rounds(n_looks, frozenset(states), n_returns)
    return found


def _is_memory_advancing(scene: Scene, examination: Examination, max_words: int = 0) -> bool:
    """Whether the program counts, collects or computes something, wherever it keeps it.

    Of variables only the names on the stack are seen; what objects and modules hold is not. A
    program whose memory could not be watched is taken to get somewhere.
    """
    memory = examination.memory
    policy = scene.policy.spin
    if is_growing(scene, examination):
        return False  # it collects: that is judged by itself
    if memory is None:
        return True
    return (
        memory.n_advancing_words > max_words
        or memory.n_changed_pages > policy.max_changed_pages
        or memory.n_never_same_words > policy.max_never_same_words
    )


def _n_returns(seen: Sequence[object]) -> int:
    """How often something follows that was left before."""
    return sum(this != seen[i - 1] and this in seen[: i - 1] for i, this in enumerate(seen) if i)


def _cause_of_recurrence(examination: Examination) -> Cause:
    # Of libraries: what the user calls a function says little about what it does.
    words = " ".join(
        frame.function
        for look in examination.stacks
        for frame in look.frames[:2]
        if not frame.is_user_code
    )
    calls = {
        name.lower()
        for look in examination.stacks
        for frame in [next((f for f in look.frames if f.is_user_code), None)]
        if frame is not None
        for name in frame.calls
    }
    if any(map(_is_of_a_lock, words.split())) or calls & _LOCK_CALLS:
        return Cause.LOCK_SPIN
    if (_calls_per_s(examination) or 0) > 1_000:
        return Cause.BUSY_POLL
    if any(word in words.lower() for word in _POLL_WORDS) or calls & _POLL_CALLS:
        return Cause.BUSY_POLL
    return Cause.PURE_LOOP


def _is_of_a_lock(function: str) -> bool:
    return any(word.lower() in _LOCK_WORDS for word in _WORD.findall(function))


def _calls_per_s(examination: Examination) -> float | None:
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    return sum(count.n_calls for count in examination.syscalls) / _counted_s(examination)


def _counted_s(examination: Examination) -> float:
    """For how long of the window system calls were counted."""
    share = min((count.share for count in examination.syscalls or ()), default=1.0)
    return examination.window_s * share


def _productive_calls_per_s(examination: Examination) -> float | None:
    """System calls that moved bytes or changed something, as far as their results tell."""
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    return _n_productive(examination.syscalls) / _counted_s(examination)


def _n_productive(syscalls: Iterable[SyscallCount]) -> int:
    return sum(
        count.n_calls - _n_fruitless(count) for count in syscalls if count.name not in _LOOKING
    )


@dataclass(frozen=True, slots=True)
class _Registers:
    """Of the samples taken in user code during a look.

    Attributes:
        new_share: of the sets of registers, how many differ.
        top_share: in the four commonest instructions.
        is_one_moving_on: whether in one of the threads nearly all differ: while others wait for
            it in a loop, as those of numeric libraries do, it works.
    """

    n_samples: int
    new_share: float
    top_share: float
    is_one_moving_on: bool


def _registers(process: Process, examination: Examination, now_ns: int) -> _Registers | None:
    since_ns = now_ns - int(examination.window_s * NS_PER_S)
    samples = [s for s in process.samples if s.ktime_ns >= since_ns and s.registers_hash]
    if not samples:
        return None
    by_thread: dict[int, list[int]] = {}
    for sample in samples:
        by_thread.setdefault(sample.tid, []).append(sample.registers_hash)
    leaves = Counter(sample.user_ips[0] for sample in samples if sample.user_ips)
    return _Registers(
        n_samples=len(samples),
        new_share=len({sample.registers_hash for sample in samples}) / len(samples),
        top_share=sum(n for _, n in leaves.most_common(4)) / len(samples),
        is_one_moving_on=any(
            len(hashes) >= MIN_SAMPLES_OF_THREAD and len(set(hashes)) > 0.5 * len(hashes)
            for hashes in by_thread.values()
        ),
    )


def _is_quiet(scene: Scene, examination: Examination) -> bool:
    """Whether it asks the kernel for nothing: neither by calls nor by touching new memory."""
    policy = scene.policy.spin
    # Who is starved by others gets on too, but asks less often.
    load = scene.load(examination.window_s)
    calls_per_s = _calls_per_s(examination)
    productive_per_s = _productive_calls_per_s(examination)
    faults_per_s = examination.page_faults_per_s
    return (
        calls_per_s is not None
        and calls_per_s * load <= policy.max_quiet_syscalls_per_s
        and productive_per_s is not None
        and productive_per_s * load <= policy.max_quiet_productive_calls_per_s
        and faults_per_s is not None
        and faults_per_s * load <= policy.max_quiet_faults_per_s
    )


def _unfinished_regex(scene: Scene, examination: Examination) -> Stagnation | None:
    """One match that does not end, in compiled code, whose variables are not seen. Who matches
    line after line makes something for each: that shows in memory. Seen in two examinations."""
    looks = [*(look for _, look in scene.history[-1:]), examination]
    places = {_place_of_match(scene, look) for look in looks}
    if len(looks) < 2 or len(places) != 1 or None in places:
        return None
    evidence = common_evidence(examination)
    window_s = examination.window_s
    n_looks = len(examination.stacks or examination.native_stacks)
    source = f"{examination.language} stacks"
    evidence.add("looks_at_match", n_looks, "looks", source, window_s)
    evidence.add("unfinished_call", "regular expression", "kind", source, window_s)
    _add_advancing_words(evidence, examination)
    return Stagnation(Cause.REGEX_BACKTRACKING, 0.8, evidence)


def _place_of_match(scene: Scene, examination: Examination) -> tuple[object, ...] | None:
    """The user's frames from which all looks are in a regular expression, with their variables
    where those are seen; None without such."""
    memory = examination.memory
    looks = examination.stacks or examination.native_stacks
    if (
        len(looks) < scene.policy.spin.min_looks_at_match
        or memory is None
        or memory.n_advancing_words > 0
        or memory.n_changed_pages > scene.policy.spin.max_pages_changed_by_match
        or not all(_is_in_regex(look) for look in looks)
    ):
        return None
    places = {
        (look.state_hash, *((f.path, f.line) for f in look.frames if f.is_user_code))
        for look in looks
    }
    return places.pop() if len(places) == 1 else None


def _is_in_regex(look: StackSnapshot) -> bool:
    if look.native_leaf == "regex":
        return True
    inner = takewhile(lambda frame: not frame.is_user_code, look.frames)
    return any(word in frame.function.lower() for frame in inner for word in _REGEX_WORDS)


def _motionless(scene: Scene, examination: Examination) -> Stagnation | None:
    """Compiled code of which nothing gets on, neither in memory nor in registers nor on the
    stack. Seen in two examinations: the outermost of many loops may stand still for a while."""
    looks = [*(look for _, look in scene.history[-1:]), examination]
    if len(looks) < 2 or not all(_stands_still(scene, look) for look in looks):
        return None
    evidence = common_evidence(examination)
    window_s = examination.window_s
    n_looks = max(motion.n_looks for motion in examination.motions)
    calls_per_s = _calls_per_s(examination)
    evidence.add("looks_at_registers", n_looks, "looks", "ptrace", window_s)
    evidence.add("advancing_registers", 0, "words", "ptrace", window_s)
    evidence.add("advancing_words", 0, "words", "/proc/mem", window_s)
    evidence.add("syscalls_per_s", calls_per_s, "calls/s", "sys_exit probe", window_s)
    return Stagnation(_cause_of_native(examination), 0.8, evidence)


def _stands_still(scene: Scene, examination: Examination) -> bool:
    policy = scene.policy.spin
    memory = examination.memory
    motions = examination.motions
    n_most = max((motion.n_looks for motion in motions), default=0)
    return (
        memory is not None
        and memory.n_advancing_words == 0
        and memory.n_changed_pages <= policy.max_changed_pages
        and memory.n_never_same_words <= policy.max_never_same_words
        and memory.n_left_words <= policy.max_left_words
        and n_most >= policy.min_looks_at_registers
        and all(motion.n_advancing_words == 0 for motion in motions)
        # Of a thread that runs now and then too little is seen.
        and all(motion.n_looks >= 0.7 * n_most or motion.n_looks < 2 for motion in motions)
        and _is_quiet(scene, examination)
    )


def _cause_of_native(examination: Examination) -> Cause:
    """By the innermost functions; for what is asked, only by those of libraries: what the user
    calls a function says little about what it does."""
    is_compiled = examination.language in (None, "native", "script", "python")
    stacks = examination.native_stacks if is_compiled else examination.stacks
    innermost = {f.function for look in stacks for f in look.frames[:2]}
    of_libraries = [f for look in stacks for f in look.frames[:6] if not f.is_user_code]
    libraries = " ".join(frame.function.lower() for frame in of_libraries)
    called = {re.split(r"[.:]", frame.function.lower())[-1] for frame in of_libraries}
    if any(map(_is_of_a_lock, innermost)):
        return Cause.LOCK_SPIN
    if any(word in libraries for word in _REGEX_WORDS):
        return Cause.REGEX_BACKTRACKING
    return Cause.BUSY_POLL if called & _POLL_CALLS else Cause.PURE_LOOP


def _recurring_registers(
    scene: Scene, process: Process, examination: Examination
) -> Stagnation | None:
    """A native loop without progress comes back to the same machine state."""
    policy = scene.policy.spin
    if not _is_quiet(scene, examination):
        return None
    measured = _registers(process, examination, scene.now_ns)
    if (
        measured is None
        or measured.n_samples < policy.min_samples
        or measured.new_share > policy.max_new_registers_share
        or measured.top_share < policy.min_top_leaves_share
        or measured.is_one_moving_on
    ):
        return None
    evidence = common_evidence(examination)
    window_s = examination.window_s
    evidence.add("samples", measured.n_samples, "samples", "cpu_clock samples", window_s)
    evidence.add("new_registers_share", measured.new_share, "share", "cpu_clock samples", window_s)
    evidence.add("top_leaves_share", measured.top_share, "share", "cpu_clock samples", window_s)
    calls_per_s = _calls_per_s(examination)
    evidence.add("syscalls_per_s", calls_per_s, "calls/s", "sys_exit probe", window_s)
    return Stagnation(_cause_of_native(examination), 0.9, evidence)
