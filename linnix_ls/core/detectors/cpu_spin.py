"""A process that uses a CPU and gets nowhere.

Being busy is no crime: of a hundred processes that use a whole core, nearly all compile or
compute. So CPU time only raises a suspicion. What convicts is the absence of progress, seen in
one of four ways: system calls that find nothing, again and again; machine registers that come
back to the same few values; a program's variables that do; one call of a regular expression
that does not return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from linnix_ls.core.detectors.base import (
    Citations,
    EvidenceList,
    Scene,
    Suspicion,
    Verdict,
    where,
)
from linnix_ls.core.examination import Depth, Examination, SyscallCount
from linnix_ls.core.findings import Cause, Explanation, Finding, Kind, Severity
from linnix_ls.core.ids import NS_PER_S
from linnix_ls.core.tree import Process, program_name

# Calls that ask "is there anything?": a result of 0 means no.
_ASKING = frozenset(
    [
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "read",
        "pread64",
        "recvfrom",
        "recvmsg",
        "wait4",
        "waitid",
        "futex",
        "getdents64",
    ]
)
_YIELDING = frozenset({"sched_yield"})
_LOCKING = frozenset({"futex", "sched_yield", "semop", "semtimedop", "flock", "fcntl"})
# Calls that look at the world and change nothing in it, or only what the process is called.
_LOOKING = frozenset(
    "stat lstat fstat newfstatat statx access faccessat faccessat2 lseek getpid getppid gettid"
    " clock_gettime gettimeofday getrusage times sched_getaffinity rt_sigprocmask rt_sigaction"
    " prctl restart_syscall sched_yield clock_nanosleep nanosleep futex".split()
)
_CLOCKS = frozenset({"clock_gettime", "gettimeofday", "time", "times", "getrusage"})
_POLL_WORDS = ("poll", "empty", "ready", "get_nowait", "wait", "qsize")
# The programs that do the work behind cc, c++, cargo and javac.
_COMPILERS = frozenset(
    "cc1 cc1plus cc1obj clang clang++ rustc ghc swift-frontend flang f951 dmd ldc2 zig".split()
)
_LOCK_WORDS = ("lock", "acquire", "mutex", "spin")


class CpuSpinDetector:
    """See the module."""

    kind = Kind.CPU_SPIN

    def suspicions(self, scene: Scene) -> Iterable[Suspicion]:
        policy = scene.policy.spin
        window_ns = int(policy.suspicion_window_s * NS_PER_S)
        # On a loaded machine everybody gets less, and a spinner all of its share.
        load = max(1.0, (scene.n_runnable or 1) / scene.n_cpus)
        threshold_ns = window_ns * policy.suspicion_cores / load
        for process in scene.tree.alive():
            if not process.is_judged or not process.cpu:
                continue
            on_cpu_ns = process.on_cpu_ns(scene.now_ns - window_ns)
            if on_cpu_ns >= threshold_ns:
                yield Suspicion(
                    kind=self.kind,
                    key=process.key,
                    depth=Depth.MEASURE,
                    onset_ns=max(scene.now_ns - window_ns, process.started_ns),
                    weight=on_cpu_ns / window_ns,
                )

    def judge(self, scene: Scene, suspicion: Suspicion, examination: Examination) -> Verdict | None:
        process = scene.tree.get(suspicion.key)
        if process is None or examination.is_gone:
            return None
        policy = scene.policy.spin
        cores = examination.runnable_cores or examination.on_cpu_cores
        if cores is None or cores < policy.min_runnable_cores:
            return None
        if (examination.voluntary_switches_per_s or 0) > policy.max_waits_per_s:
            return None  # it does wait: a busy server
        conviction = (
            _fruitless_syscalls(scene, process, examination)
            or _recurring_state(scene, examination)
            or _recurring_registers(scene, process, examination)
            or _exploding_compilation(scene, process, examination)
        )
        if conviction is None:
            return None
        cause, confidence, evidence = conviction
        kind = self.kind
        growth = examination.rss_growth_bytes_per_s or 0
        is_severe = cause is not Cause.COMPILE_BLOWUP  # a large honest source may look like it
        if growth > policy.growth_bytes_per_s and cause is not Cause.COMPILE_BLOWUP:
            if not _is_growing_steadily(scene, examination):
                return None
            rss = examination.rss_bytes or 0
            is_severe = rss > policy.severe_rss_bytes
            # A loop without end that keeps all it makes: memory is what will run out.
            evidence.add("rss_growth", growth / 1e6, "MB/s", "/proc/stat", examination.window_s)
            evidence.add("rss", (examination.rss_bytes or 0) / 1e6, "MB", "/proc/stat")
            kind, cause = Kind.MEMORY_RUNAWAY, Cause.UNBOUNDED_GROWTH
        return Verdict(
            kind=kind,
            cause=cause,
            severity=Severity.WARNING if is_severe else Severity.INFORMATION,
            confidence=confidence,
            key=suspicion.key,
            onset_ns=(process.started_ns if cause is Cause.COMPILE_BLOWUP else suspicion.onset_ns),
            evidence=evidence.items(),
        )

    def is_over(self, scene: Scene, finding: Finding) -> bool:
        process = scene.tree.get(finding.process.key)
        if process is None or not process.is_alive:
            return True
        calm_ns = int(scene.policy.calm_s * NS_PER_S)
        load = max(1.0, (scene.n_runnable or 1) / scene.n_cpus)
        return process.on_cpu_ns(scene.now_ns - calm_ns) < 0.3 * calm_ns / load

    def explain(self, finding: Finding) -> Explanation:
        return _explain(finding)


_Conviction = tuple[Cause, float, EvidenceList]


def _common_evidence(examination: Examination) -> EvidenceList:
    evidence = EvidenceList()
    window_s = examination.window_s
    evidence.add("on_cpu_cores", examination.on_cpu_cores, "cores", "/proc/stat", window_s)
    evidence.add("runnable_cores", examination.runnable_cores, "cores", "/proc/schedstat", window_s)
    return evidence


def _fruitless_syscalls(
    scene: Scene, process: Process, examination: Examination
) -> _Conviction | None:
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    policy = scene.policy.spin
    # To ask what time it is is not to ask for work: a computation with a deadline does.
    syscalls = [count for count in examination.syscalls if count.name not in _CLOCKS]
    n_calls = sum(count.n_calls for count in syscalls)
    if n_calls == 0:
        return None
    per_s = n_calls / examination.window_s
    n_fruitless = sum(_n_fruitless(count) for count in syscalls)
    top = max(syscalls, key=lambda count: count.n_calls)
    is_storm = (
        per_s >= policy.storm_of_syscalls_per_s
        and _n_productive(syscalls) <= policy.max_productive_share * n_calls
    )
    is_fruitless = (
        n_fruitless / n_calls >= policy.fruitless_share and per_s >= policy.fruitless_syscalls_per_s
    )
    if not (is_storm or is_fruitless):
        return None
    n_locking = sum(count.n_calls for count in syscalls if count.name in _LOCKING)
    is_locking = n_locking >= 0.6 * n_calls
    if is_locking:
        # Threads that contend for a lock yield as often, but get on with their work in between.
        measured = _registers(process, examination, scene.now_ns)
        if measured is not None and measured[1] > policy.max_contender_registers_share:
            return None
    evidence = _common_evidence(examination)
    window_s = examination.window_s
    source = "sys_exit probe"
    evidence.add("syscalls_per_s", per_s, "calls/s", source, window_s)
    evidence.add("fruitless_share", n_fruitless / n_calls, "share", source, window_s)
    evidence.add("commonest_syscall", top.name, "name", source, window_s)
    evidence.add("commonest_syscall_share", top.n_calls / n_calls, "share", source, window_s)
    cause = Cause.LOCK_SPIN if is_locking else Cause.BUSY_POLL
    return cause, 0.95 if is_storm and is_fruitless else 0.85, evidence


def _n_fruitless(count: SyscallCount) -> int:
    if count.name in _YIELDING:
        return count.n_calls
    return count.n_errors + (count.n_zero if count.name in _ASKING else 0)


def _recurring_state(scene: Scene, examination: Examination) -> _Conviction | None:
    """The program's own variables come back to values that they had before.

    Coming back is the point: a program that works through long native calls is in few states
    too, but leaves each for good.
    """
    policy = scene.policy.spin
    looks = [s for s in examination.stacks if any(f.is_user_code for f in s.frames)]
    states = [look.state_hash for look in looks if look.state_hash is not None]
    if len(states) < policy.min_looks:
        return None
    productive_per_s = _productive_calls_per_s(examination)
    if productive_per_s is not None and productive_per_s > policy.max_productive_calls_per_s:
        return None  # what it does shows outside its variables
    n_distinct = len(set(states))
    if n_distinct > max(1, policy.max_distinct_states_share * len(states)):
        return None
    positions = [look.frames for look in looks]
    is_one_call = len(set(positions)) == 1
    user_frames = [next(f for f in look.frames if f.is_user_code) for look in looks]
    source = f"{examination.language} stacks with local variables"
    window_s = examination.window_s
    evidence = _common_evidence(examination)
    evidence.add("looks", len(states), "looks", source, window_s)
    evidence.add("distinct_states", n_distinct, "states", source, window_s)
    evidence.add("distinct_lines", len({(f.path, f.line) for f in user_frames}), "lines", source)
    evidence.add("syscalls_per_s", _calls_per_s(examination), "calls/s", "sys_exit probe", window_s)
    if is_one_call and looks[0].native_leaf == "regex":
        # Of all native calls that do not return, only one cannot take seconds by design.
        evidence.add("unfinished_call", "regular expression", "kind", source, window_s)
        return Cause.REGEX_BACKTRACKING, 0.85, evidence
    if _is_memory_advancing(scene, examination):
        return None
    # It must be seen to go round: by itself, in lines that call nothing; or by coming back to a
    # state, or to a place, that it had left. Else it may be inside one long native call.
    calls_nothing = all(frame.has_call is False for frame in user_frames)
    n_returns = max(_n_returns(states), _n_returns(positions))
    if n_returns < policy.min_returns and not calls_nothing:
        return None
    evidence.add("returns", n_returns, "returns", source, window_s)
    if examination.memory is not None:
        n_advancing = examination.memory.n_advancing_words
        evidence.add("advancing_words", n_advancing, "words", "/proc/mem", window_s)
    return _cause_of_recurrence(examination), 0.85, evidence


def _is_memory_advancing(scene: Scene, examination: Examination) -> bool:
    """Whether the program counts, collects or computes something, wherever it keeps it.

    Of variables only the names on the stack are seen; what objects and modules hold is not. A
    program whose memory could not be watched is taken to get somewhere.
    """
    memory = examination.memory
    policy = scene.policy.spin
    if (examination.rss_growth_bytes_per_s or 0) > policy.growth_bytes_per_s:
        return False  # it collects: that is judged by itself
    if memory is None:
        return True
    return (
        memory.n_advancing_words > 0
        or memory.n_changed_pages > policy.max_changed_pages
        or memory.n_never_same_words > policy.max_never_same_words
    )


def _is_growing_steadily(scene: Scene, examination: Examination) -> bool:
    """Whether memory has grown from look to look, and not only within them: a program that
    builds something large, drops it and builds it again goes up and down."""
    policy = scene.policy.spin
    looks = [*scene.history, (scene.now_ns, examination)]
    sizes = [(at_ns, look.rss_bytes) for at_ns, look in looks if look.rss_bytes is not None]
    if len(sizes) <= policy.growth_looks or examination.rss_bytes is None:
        return False
    return all(
        after - before > policy.growth_bytes_per_s * (then_ns - since_ns) / NS_PER_S
        for (since_ns, before), (then_ns, after) in pairwise(sizes)
    )


def _n_returns(seen: Sequence[object]) -> int:
    """How often something follows that was left before."""
    return sum(this != seen[i - 1] and this in seen[: i - 1] for i, this in enumerate(seen) if i)


def _cause_of_recurrence(examination: Examination) -> Cause:
    if (_calls_per_s(examination) or 0) > 1_000:
        return Cause.BUSY_POLL
    # Of libraries: what the user calls a function says little about what it does.
    words = " ".join(
        frame.function.lower()
        for look in examination.stacks
        for frame in look.frames[:2]
        if not frame.is_user_code
    )
    if any(word in words for word in _LOCK_WORDS):
        return Cause.LOCK_SPIN
    return Cause.BUSY_POLL if any(word in words for word in _POLL_WORDS) else Cause.PURE_LOOP


def _calls_per_s(examination: Examination) -> float | None:
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    return sum(count.n_calls for count in examination.syscalls) / examination.window_s


def _productive_calls_per_s(examination: Examination) -> float | None:
    """System calls that moved bytes or changed something, as far as their results tell."""
    if examination.syscalls is None or examination.window_s <= 0:
        return None
    return _n_productive(examination.syscalls) / examination.window_s


def _n_productive(syscalls: Iterable[SyscallCount]) -> int:
    return sum(
        count.n_calls - _n_fruitless(count) for count in syscalls if count.name not in _LOOKING
    )


def _registers(
    process: Process, examination: Examination, now_ns: int
) -> tuple[int, float, float] | None:
    """Of the samples taken during the examination: how many in user code, the share of register
    sets that were new, and the share in the four commonest instructions."""
    since_ns = now_ns - int(examination.window_s * NS_PER_S)
    samples = [s for s in process.samples if s.ktime_ns >= since_ns and s.registers_hash]
    if not samples:
        return None
    new_share = len({sample.registers_hash for sample in samples}) / len(samples)
    leaves = Counter(sample.user_ips[0] for sample in samples if sample.user_ips)
    top_share = sum(n for _, n in leaves.most_common(4)) / len(samples)
    return len(samples), new_share, top_share


def _recurring_registers(
    scene: Scene, process: Process, examination: Examination
) -> _Conviction | None:
    """A native loop without progress comes back to the same machine state."""
    policy = scene.policy.spin
    calls_per_s = _calls_per_s(examination)
    if calls_per_s is None or calls_per_s > policy.max_quiet_syscalls_per_s:
        return None
    faults_per_s = examination.page_faults_per_s
    if faults_per_s is None or faults_per_s > policy.max_quiet_faults_per_s:
        return None
    measured = _registers(process, examination, scene.now_ns)
    if measured is None:
        return None
    n_samples, new_share, top_share = measured
    if (
        n_samples < policy.min_samples
        or new_share > policy.max_new_registers_share
        or top_share < policy.min_top_leaves_share
    ):
        return None
    evidence = _common_evidence(examination)
    window_s = examination.window_s
    evidence.add("samples", n_samples, "samples", "cpu_clock samples", window_s)
    evidence.add("new_registers_share", new_share, "share", "cpu_clock samples", window_s)
    evidence.add("top_leaves_share", top_share, "share", "cpu_clock samples", window_s)
    evidence.add("syscalls_per_s", calls_per_s, "calls/s", "sys_exit probe", window_s)
    functions = " ".join(
        frame.function.lower() for look in examination.native_stacks for frame in look.frames[:1]
    )
    is_lock = any(word in functions for word in _LOCK_WORDS)
    return (Cause.LOCK_SPIN if is_lock else Cause.PURE_LOOP), 0.9, evidence


def _exploding_compilation(
    scene: Scene, process: Process, examination: Examination
) -> _Conviction | None:
    """A compiler proper that has long been at one file and takes memory ever faster than source
    code accounts for: templates or macros that multiply."""
    policy = scene.policy.spin
    name = program_name(process.argv, process.comm)
    growth, rss = examination.rss_growth_bytes_per_s, examination.rss_bytes
    if name not in _COMPILERS or growth is None or rss is None or not examination.on_cpu_cores:
        return None
    age_s = (scene.now_ns - process.started_ns) / NS_PER_S
    growth_per_cpu_s = growth / examination.on_cpu_cores
    if (
        age_s < policy.compile_s
        or rss < policy.compile_rss_bytes
        or growth_per_cpu_s < policy.compile_growth_bytes_per_cpu_s
    ):
        return None
    evidence = _common_evidence(examination)
    evidence.add("compiling_for", age_s, "s", "exec events")
    evidence.add("rss", rss / 1e6, "MB", "/proc/stat")
    evidence.add(
        "rss_growth_per_cpu_s", growth_per_cpu_s / 1e6, "MB/s", "/proc/stat", examination.window_s
    )
    return Cause.COMPILE_BLOWUP, 0.5, evidence


def _explain(finding: Finding) -> Explanation:
    value = Citations(finding)
    cores = value["on_cpu_cores"]
    used = f"uses {cores} cores" if cores else "uses a CPU"
    process = f"process {finding.process.key.pid}"
    why: list[str] = []
    if (n_looks := value["looks"]) and (n_states := value["distinct_states"]):
        if n_states == "1":
            why.append(f"In {n_looks} looks at its variables they were always the same.")
        else:
            why.append(
                f"In {n_looks} looks at its variables it was in {n_states} different states:"
                " it comes back to where it was."
            )
    if value["advancing_words"] == "0":
        why.append("Nothing in its memory counts up or down.")
    if finding.cause in (Cause.BUSY_POLL, Cause.LOCK_SPIN) and value["commonest_syscall"]:
        calls = value["syscalls_per_s"]
        text = f"It makes {calls} system calls a second"
        text += f", {value['commonest_syscall_share']} of them {value['commonest_syscall']}"
        if share := value["fruitless_share"]:
            text += f"; {share} fail or find nothing"
        why.append(text + ".")
    if share := value["new_registers_share"]:
        why.append(
            f"Of {value['samples']} samples of its registers only {share} were new:"
            " the machine state repeats, so nothing in the loop changes what it waits for."
        )
    if growth := value["rss_growth"]:
        why.append(f"Its memory grows by {growth} MB a second and is at {value['rss']} MB.")
    if compiling_s := value["compiling_for"]:
        why.append(
            f"It has been at this file for {compiling_s} s, holds {value['rss']} MB and takes"
            f" {value['rss_growth_per_cpu_s']} MB more with each second of CPU."
        )
    verb, fix = _WORDS[finding.cause]
    gets_nowhere = finding.cause not in (Cause.COMPILE_BLOWUP, Cause.UNBOUNDED_GROWTH)
    ending = " without getting anywhere" if gets_nowhere else ""
    return Explanation(
        by="rules",
        summary=f"{process} {verb}{where(finding)} and {used}{ending}",
        why=" ".join(why),
        fix=fix,
        cites=value.ids,
    )


_WORDS: dict[Cause, tuple[str, tuple[str, ...]]] = {
    Cause.PURE_LOOP: (
        "loops",
        (
            "Check the loop's end condition: nothing inside the loop makes it true.",
            "Add a bound (a deadline or a maximum number of rounds) that raises with a message.",
        ),
    ),
    Cause.BUSY_POLL: (
        "polls without a pause",
        (
            "Wait instead of asking: a blocking call, or one with a timeout, sleeps until there"
            " is something to do.",
            "If it must poll, sleep between two rounds and give up after a deadline.",
        ),
    ),
    Cause.LOCK_SPIN: (
        "spins on a lock",
        (
            "Use a lock that blocks (a mutex or a condition variable) instead of trying again.",
            "Make sure that whoever holds the lock releases it on every path, errors too.",
        ),
    ),
    Cause.REGEX_BACKTRACKING: (
        "is stuck in a regular expression",
        (
            "Remove nested or adjacent repetitions that can match the same text, such as (a+)+.",
            "Use possessive quantifiers or atomic groups (recent Pythons have them), or parse"
            " without a regular expression.",
        ),
    ),
}
_WORDS[Cause.UNBOUNDED_GROWTH] = (
    "collects without end",
    (
        "Check the loop's end condition: it goes round without moving on, and keeps what it makes.",
        "Bound what is collected, and raise when the bound is passed.",
    ),
)
_WORDS[Cause.OTHER] = _WORDS[Cause.PURE_LOOP]
_WORDS[Cause.COMPILE_BLOWUP] = (
    "expands one source file further and further",
    (
        "Look for templates, generics or macros that call for more of themselves, or multiply.",
        "If the file is just large, split it; this notice then has nothing to say.",
    ),
)
