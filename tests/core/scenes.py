"""Scenes: processes that start, work and end by a clock of their own, an engine that watches
them, and what a close look at each of them would show."""

from dataclasses import replace
from itertools import count

from linnix_ls.core.changes import ExaminationWanted, FindingChanged, RunBegan, RunEnded
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import (
    Examined,
    Execed,
    Exited,
    Forked,
    ProcessSeen,
    Sampled,
    Ticked,
    Watched,
)
from linnix_ls.core.examination import (
    Depth,
    Examination,
    MemoryProgress,
    PlaceHint,
    ProcessFacts,
    StackFrame,
    StackSnapshot,
    SyscallCount,
    ThreadMotion,
)
from linnix_ls.core.findings import State
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.policy import Policy

STEP_NS = 10_000_000  # the CPU clock's period
TICK_NS = 100_000_000
ANSWER_NS = {Depth.MEASURE: 700_000_000, Depth.GLANCE: 150_000_000, Depth.WAITS: 150_000_000}


def varied(key, n):
    """A program that computes: other registers and another instruction at every sample."""
    return ((0x1000 + n * 7919 % 4096,), 1 + n)


def going_round(key, n):
    """A loop of three instructions, back in the same states again and again."""
    return ((0x1000 + n % 3,), 1 + n % 3)


class Scene:
    """See the module. Times are seconds; findings come in the order in which they were raised.

    Attributes:
        changes: all that the engine said, but for its questions.
        asked: its questions.
        answers: whether anybody answers them.
    """

    def __init__(self, *, n_cpus=2, n_runnable=None, policy=Policy()):
        self.engine = Engine(policy)
        self.now_ns = 1_000 * NS_PER_S
        self.n_cpus = n_cpus
        self.n_runnable = n_runnable
        self.changes = []
        self.asked = []
        self.answers = True
        self._due = []
        self._looks = {}
        self._busy = {}
        self._pids = count(100)
        self._n_samples = count()
        self._next_tick_ns = self.now_ns

    # -- what happens --------------------------------------------------------------------------

    def tell(self, event):
        for change in self.engine.receive(event):
            if isinstance(change, ExaminationWanted):
                self.asked.append(change.request)
                self._due.append((self.now_ns + ANSWER_NS[change.request.depth], change.request))
            else:
                self.changes.append(change)

    def run(self, command="pytest -q", *, cwd="/ws"):
        """A run by itself, as `linnix-ls run` watches it."""
        return self.watch(command, cwd=cwd, is_run=True, is_root_judged=True)

    def watch(self, command, *, cwd="/ws", is_run=False, is_root_judged=False):
        """A root of a watched tree; an editor, unless told otherwise."""
        key = self._new_key()
        self.tell(Watched(self.now_ns, key, command, is_root_judged, is_run))
        return self.see(key, command, cwd=cwd)

    def see(self, key, command, parent=None, *, cwd="/ws"):
        argv = tuple(command.split())
        self.tell(ProcessSeen(self.now_ns, key, parent, 0, argv[0], argv, None, cwd))
        return key

    def fork(self, parent, comm="copy"):
        key = self._new_key()
        self.tell(Forked(self.now_ns, key, parent, 0, comm))
        return key

    def exec(self, key, command, *, cwd="/ws"):
        argv = tuple(command.split()) if isinstance(command, str) else command
        comm = argv[0].rsplit("/", 1)[-1][:15]
        process = self.engine.tree.get(key)
        parent = process.parent if process else None
        self.tell(Execed(self.now_ns, key, parent, 0, comm, argv, False, f"/usr/bin/{comm}", cwd))
        return key

    def start(self, parent, command, *, cwd="/ws"):
        """A child that runs another program."""
        return self.exec(self.fork(parent), command, cwd=cwd)

    def exit(self, key, code=0, *, signal=None):
        self._busy.pop(key, None)
        self.tell(Exited(self.now_ns, key, None if signal else code, signal))

    def call(self, parent, command, code=0):
        """A child that does its work and ends."""
        self.exit(self.start(parent, command), code)

    def is_busy(self, key, samples=varied, *, share=1.0):
        """From now on it uses that share of a CPU; `samples` tells where it is found: addresses,
        registers, and of a process with several threads which one."""
        self._busy[key] = (samples, share)

    def is_idle(self, key):
        self._busy.pop(key, None)

    def shows(self, key, **look):
        """What a close look at it finds; see `core.examination.Examination`. What changes with
        time is a function of seconds."""
        self._looks[key] = look

    def passes(self, seconds):
        """Let time go by: samples, ticks, and answers to what the engine asks."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        while self.now_ns < end_ns:
            self.now_ns += STEP_NS
            for key, (samples, share) in tuple(self._busy.items()):
                n = next(self._n_samples)
                ips, registers, *tids = samples(key, n)
                tid = tids[0] if tids else key.pid
                period_ns = round(STEP_NS * share)
                self.tell(Sampled(self.now_ns, key, tid, period_ns, ips, (), registers))
            self._answer()
            if self.now_ns >= self._next_tick_ns:
                self._next_tick_ns = self.now_ns + TICK_NS
                self.tell(Ticked(self.now_ns, self.n_cpus, self.n_runnable))

    def _answer(self):
        due = [request for at, request in self._due if at <= self.now_ns]
        self._due = [(at, request) for at, request in self._due if at > self.now_ns]
        for request in due if self.answers else ():
            self.tell_answer(self.examination(request))

    def tell_answer(self, examination):
        self.tell(Examined(self.now_ns, examination))

    def examination(self, request):
        process = self.engine.tree.get(request.key)
        if process is None or not process.is_alive:
            return Examination(request.id, request.key, request.depth, True, 0.0, None)
        facts = ProcessFacts(request.key, process.argv, process.exe, process.cwd)
        look = Examination(
            request.id,
            request.key,
            request.depth,
            False,
            ANSWER_NS[request.depth] / NS_PER_S,
            facts,
        )
        now_s = self.now_ns / NS_PER_S
        found = self._looks.get(request.key, {})
        return replace(
            look,
            **{name: value(now_s) if callable(value) else value for name, value in found.items()},
        )

    def _new_key(self):
        return ProcessKey(next(self._pids), self.now_ns // 10_000_000)

    # -- what came of it -----------------------------------------------------------------------

    @property
    def findings(self):
        return list(self.engine.findings.values())

    @property
    def verdicts(self):
        """(kind, cause, process) of each finding."""
        return [(f.kind.value, f.cause.value, f.process.key) for f in self.findings]

    @property
    def finding(self):
        [finding] = self.findings
        return finding

    @property
    def states(self):
        return [finding.state for finding in self.findings]

    def runs_begun(self):
        return [change.label for change in self.changes if isinstance(change, RunBegan)]

    def runs_ended(self):
        return [change.run for change in self.changes if isinstance(change, RunEnded)]

    def raised(self):
        return [
            change.finding
            for change in self.changes
            if isinstance(change, FindingChanged) and change.finding.state is State.RAISED
        ]


# -- looks ---------------------------------------------------------------------------------------

# One core, nothing else: what every look at a busy process has.
ONE_CORE = {"on_cpu_cores": 0.99, "runnable_cores": 1.0, "voluntary_switches_per_s": 0.0}


def calls(name, per_s, *, failing=0.0, finding_nothing=0.0, window_s=0.7):
    """System calls of one name, at that rate over a look; of them, the shares without success."""
    n = round(per_s * window_s)
    return SyscallCount(name, n, round(n * failing), round(n * finding_nothing), n)


def lookups(name, per_s, *, of, failing=1.0, path="/ws/ready", window_s=0.7):
    """Calls that are given a path, `of` so many different ones, `path` most often."""
    counted = calls(name, per_s, failing=failing, window_s=window_s)
    n_commonest = round(counted.n_calls / of)
    return replace(counted, n_paths=of, commonest_path=path, n_commonest_path=n_commonest)


def frame(function="drain", line=41, path="/ws/pump.py", *, loops=(), has_call=None, **facts):
    """Of the user's, when it is below /ws."""
    return StackFrame(function, path, line, path.startswith("/ws"), loops, has_call, **facts)


def look(*frames, state=None, leaf=None):
    """One stack, innermost frame first."""
    return StackSnapshot(1, frames or (frame(),), state, is_running=True, native_leaf=leaf)


def looks(states, *frames, leaf=None):
    """A look for each of the states, which are drawn as letters."""
    return tuple(look(*frames, state=ord(letter), leaf=leaf) for letter in states)


def conditions(drawn, stacks):
    """Those looks, with what the loop's condition looks at in those states."""
    return tuple(
        replace(stack, condition_hash=ord(letter))
        for stack, letter in zip(stacks, drawn, strict=True)
    )


def rounds(drawn, *, at="l" * 12, has_call=True, **facts):
    """Looks at a program in ever new states, in a loop whose rounds begin in those states. `at`:
    "c" where something that the loop calls is further in, else "l"."""
    caller = frame("main", 60, loops=((59, 62),), has_call=has_call, **facts)
    return tuple(
        replace(
            look(frame("work", 10), replace(caller, line=61)) if place == "c" else look(caller),
            state_hash=1_000 + n,
            round_hashes=(ord(letter),),
        )
        for n, (letter, place) in enumerate(zip(drawn, at, strict=True))
    )


def motions(*, n_looks=12, n_advancing=0, tid=1):
    """Of one thread's registers and stack."""
    return (ThreadMotion(tid, n_looks, n_advancing),)


# A line of the user's, found without a stack.
SOMEWHERE = {"hints": (PlaceHint("/ws/pump.py", 41, "drain", 0.8, "its source"),)}

# Memory in which a loop goes round without progress.
STILL = MemoryProgress(n_pages=900, n_changed_pages=8, n_advancing_words=0, n_never_same_words=1)


def busy_process(look, *, samples=varied, command="python3 pump.py", seconds=4, n_runnable=None):
    """A scene of one busy child of a test run, and what became of it."""
    scene = Scene(n_runnable=n_runnable)
    child = scene.start(scene.run(), command)
    scene.shows(child, **ONE_CORE | look)
    scene.is_busy(child, samples)
    scene.passes(seconds)
    return scene
