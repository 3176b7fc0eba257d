"""The processes of the watched trees, as far as events tell. Not a mirror of /proc: it also
remembers the dead, because a storm is made of processes that are gone already."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from linnix_ls.core.events import CpuUsed, Execed, Exited, Forked, ProcessSeen, Sampled
from linnix_ls.core.findings import Cause, Finding, ProcessInfo
from linnix_ls.core.ids import NS_PER_S, ProcessKey

# How much of the past is kept: enough for every rate that detectors look at; beyond it, for those
# who want to wait longer, only what each second took.
CPU_WINDOW_NS = 4 * NS_PER_S
MAX_SECONDS_KEPT = 60
DEAD_KEPT_NS = 60 * NS_PER_S
MAX_DEAD_KEPT = 5_000
MAX_ANCESTORS = 64
MAX_RECENT_FORKS = 5_000
MAX_SAMPLES_OF_ONE = 400
MAX_SAMPLES_KEPT = 20_000  # of all together: some minutes of a few CPUs

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "tcsh", "csh", "nu"})

_NOTHING: deque[Any] = deque(maxlen=0)


def _nothing() -> deque[Any]:
    return _NOTHING


@dataclass(slots=True, eq=False)
class Process:
    """One process, living or dead. Mutable; owned by the tree.

    Attributes:
        is_judged: False for the editor that a tree hangs from.
        was_there_before: it was found, not seen to begin.
        is_forked_copy: it has not exec'ed since its fork: it runs its parent's program.
        n_copies_above: how many of its ancestors run the same program.
        n_same_command_above: how many of them with the same arguments in the same folder, too.
        program: what a person calls it.
        n_living_children: of those that it started itself.
        cpu: recent (ktime_ns, on_cpu_ns).
        earlier_cpu: the same before that, in steps of a second.
        samples: recent ones, as far as the tracer has a sampler.
    """

    key: ProcessKey
    parent: ProcessKey | None
    uid: int
    comm: str
    argv: tuple[str, ...]
    exe: str | None
    cwd: str | None
    started_ns: int
    is_judged: bool = True
    was_there_before: bool = False
    is_forked_copy: bool = False
    n_forks: int = 0
    n_execs: int = 0
    last_on_cpu_ns: int = 0
    n_copies_above: int = 0
    n_same_command_above: int = 0
    exited_ns: int | None = None
    exit_code: int | None = None
    term_signal: int | None = None
    program: str = ""
    n_living_children: int = 0
    children: dict[ProcessKey, None] = field(default_factory=dict)  # an ordered set
    # Most processes of a storm have none of these, and a deque takes half a kilobyte for nothing.
    cpu: deque[tuple[int, int]] = field(default_factory=_nothing)
    earlier_cpu: deque[tuple[int, int]] = field(default_factory=_nothing)
    samples: deque[Sampled] = field(default_factory=_nothing)

    @property
    def is_alive(self) -> bool:
        return self.exited_ns is None

    def on_cpu_ns(self, since_ns: int) -> int:
        """CPU time used since then, as far as samples tell."""
        if self.last_on_cpu_ns <= since_ns:
            return 0
        used_ns = sum(used for at, used in self.cpu if at > since_ns)
        if self.earlier_cpu and self.earlier_cpu[-1][0] > since_ns:
            used_ns += sum(used for at, used in self.earlier_cpu if at > since_ns)
        return used_ns

    def add_cpu(self, at_ns: int, used_ns: int) -> None:
        if self.cpu is _NOTHING:
            self.cpu, self.earlier_cpu = deque(), deque(maxlen=MAX_SECONDS_KEPT)
        self.cpu.append((at_ns, used_ns))
        self.last_on_cpu_ns = max(self.last_on_cpu_ns, at_ns)
        while self.cpu[0][0] < at_ns - CPU_WINDOW_NS:
            earlier_at_ns, earlier_ns = self.cpu.popleft()
            if self.earlier_cpu and earlier_at_ns - self.earlier_cpu[-1][0] < NS_PER_S:
                began_ns, so_far_ns = self.earlier_cpu[-1]
                self.earlier_cpu[-1] = began_ns, so_far_ns + earlier_ns
            else:
                self.earlier_cpu.append((earlier_at_ns, earlier_ns))

    def add_sample(self, sample: Sampled) -> None:
        if self.samples is _NOTHING:
            self.samples = deque(maxlen=MAX_SAMPLES_OF_ONE)
        self.samples.append(sample)

    def forget_samples(self) -> None:
        self.samples = _NOTHING

    def info(self) -> ProcessInfo:
        """A frozen picture."""
        return ProcessInfo(
            key=self.key,
            ppid=self.parent.pid if self.parent else None,
            uid=self.uid,
            comm=self.comm,
            exe=self.exe,
            argv=self.argv,
            cwd=self.cwd,
        )


_INTERPRETERS = SHELLS | {"node", "nodejs", "perl", "ruby", "php", "lua", "java", "deno", "bun"}
# Options that take the next word, and those after which comes code or nothing, but no script.
# They differ: -e is code for node and perl, and "stop at errors" for a shell.
_PYTHON_OPTIONS_WITH_VALUE = frozenset({"-X", "-W", "--check-hash-based-pycs"})
_SHELL_OPTIONS_WITH_VALUE = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_OTHER_OPTIONS_WITH_VALUE = frozenset(
    {"-I", "-r", "--require", "--import", "--loader", "-cp", "-classpath", "--class-path", "-d"}
)
_OTHER_OPTIONS_WITH_CODE = frozenset({"-e", "-E", "-ne", "-pe", "-p", "--eval", "--print"})


def script_argument(argv: tuple[str, ...]) -> str | None:
    """The script (or ``-m`` module) that an interpreter was told to run; None without one."""
    if not argv:
        return None
    name = argv[0].rsplit("/", 1)[-1].removeprefix("-")
    is_python = name.startswith(("python", "pypy"))
    if name == "env":
        return script_argument(tuple(a for a in argv[1:] if "=" not in a and a[:1] != "-"))
    if not is_python and name not in _INTERPRETERS:
        return None
    if is_python:
        with_value, with_code = _PYTHON_OPTIONS_WITH_VALUE, frozenset({"-c"})
    elif name in SHELLS:
        with_value, with_code = _SHELL_OPTIONS_WITH_VALUE, frozenset({"-s"})
    else:
        with_value, with_code = _OTHER_OPTIONS_WITH_VALUE, _OTHER_OPTIONS_WITH_CODE
    arguments = iter(argv[1:])
    for argument in arguments:
        if is_python and argument == "-m":
            return next(arguments, None)
        if argument == "-" or argument in with_code or _is_shell_code(name, argument):
            return None
        if argument in with_value:
            next(arguments, None)
        elif argument[:1] not in ("-", "+"):
            return argument
    return None


def _is_shell_code(name: str, option: str) -> bool:
    """-c, also among other letters: ``bash -euc …``."""
    return name in SHELLS and option[:1] == "-" and option[:2] != "--" and "c" in option


def program_name(argv: tuple[str, ...], comm: str = "") -> str:
    """What a person calls it: `pytest` for ``python3 -m pytest -q``, `build.sh` for a script."""
    script = script_argument(argv)
    if script:
        return script.rsplit("/", 1)[-1]
    return argv[0].rsplit("/", 1)[-1].removeprefix("-") if argv else comm


_OF_COPIES = frozenset(
    {Cause.PROCESS_RECURSION, Cause.RECURSIVE_MAKE, Cause.WORKER_OVERSUBSCRIPTION}
)


def to_be_stopped(finding: Finding) -> ProcessInfo:
    """The process that has to end for it to be over. Of a program that starts itself that is the
    outermost copy, for all others would go on."""
    outermost = finding.process
    name = program_name(outermost.argv, outermost.comm)
    for above in finding.ancestry if finding.cause in _OF_COPIES else ():
        if program_name(above.argv, above.comm) == name:
            outermost = above
        elif finding.cause is Cause.WORKER_OVERSUBSCRIPTION:
            break  # a tool that a test of itself starts, say: the test goes on
    return outermost


def is_interactive_shell(argv: tuple[str, ...], comm: str) -> bool:
    """A shell at a prompt: it runs neither a script nor a ``-c`` command."""
    name = (argv[0].rsplit("/", 1)[-1].removeprefix("-")) if argv else comm
    if name not in SHELLS:
        return False
    takes_value = False
    for argument in argv[1:]:
        if takes_value:
            takes_value = False
        elif argument in (
            "--rcfile",
            "--init-file",
            "-o",
            "+o",
            "-O",
            "+O",
            "-C",
            "--init-command",
        ):
            takes_value = True
        elif not argument.startswith(("-", "+")) or (
            not argument.startswith("--") and "c" in argument
        ):
            return False
    return True


class ProcessTree:
    """Keyed by `ProcessKey`; takes events in any order that two CPUs can produce."""

    def __init__(self) -> None:
        self._processes: dict[ProcessKey, Process] = {}
        # Few of many, after a storm; whose turn is next is the first.
        self._alive: OrderedDict[ProcessKey, Process] = OrderedDict()
        self._active: OrderedDict[ProcessKey, Process] = OrderedDict()  # who ran last is the last
        self._sampled: deque[Process] = deque()  # one entry for each sample, the oldest first
        self._dead: deque[ProcessKey] = deque()
        self.n_processes_seen = 0
        self.recent_forks: deque[Process] = deque(maxlen=MAX_RECENT_FORKS)

    def get(self, key: ProcessKey) -> Process | None:
        return self._processes.get(key)

    def __iter__(self) -> Iterator[Process]:
        return iter(self._processes.values())

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def n_alive(self) -> int:
        return len(self._alive)

    def alive(self) -> Iterator[Process]:
        return iter(self._alive.values())

    def active(self) -> Iterator[Process]:
        """The living that have used a CPU lately; `forget_inactive` says what that is."""
        return iter(self._active.values())

    def next_in_turn(self, n: int) -> list[Process]:
        """Up to `n` of the living, another time others: each as often as any other."""
        taken = [*islice(self._alive.values(), n)]
        for process in taken:
            self._alive.move_to_end(process.key)
        return taken

    def ancestors(self, key: ProcessKey) -> Iterator[Process]:
        """Parents, nearest first, as far as they are known; bounded against cycles."""
        process = self._processes.get(key)
        for _ in range(MAX_ANCESTORS):
            if process is None or process.parent is None:
                return
            process = self._processes.get(process.parent)
            if process is None:
                return
            yield process

    def descendants(self, key: ProcessKey) -> Iterator[Process]:
        """Below `key`, itself left out, living and dead, parents before children."""
        todo = list(self._processes[key].children) if key in self._processes else []
        seen = {key}  # a recording may hold circles
        while todo:
            child = self._processes.get(todo.pop())
            if child is not None and child.key not in seen:
                seen.add(child.key)
                yield child
                todo += child.children

    def see(self, event: ProcessSeen) -> Process:
        return self._insert(
            Process(
                key=event.key,
                parent=event.parent,
                uid=event.uid,
                comm=event.comm,
                argv=event.argv,
                exe=event.exe,
                cwd=event.cwd,
                started_ns=event.ktime_ns,
                was_there_before=True,
                program=program_name(event.argv, event.comm),
            )
        )

    def fork(self, event: Forked) -> Process:
        parent = self._processes.get(event.parent)
        if parent is not None:
            parent.n_forks += 1
        child = self._insert(
            Process(
                key=event.key,
                parent=event.parent,
                uid=event.uid,
                comm=event.comm,
                argv=parent.argv if parent else (),
                exe=parent.exe if parent else None,
                cwd=parent.cwd if parent else None,
                started_ns=event.ktime_ns,
                is_forked_copy=True,
                n_copies_above=parent.n_copies_above + 1 if parent else 0,
                program=parent.program if parent and parent.argv else event.comm,
            )
        )
        self.recent_forks.append(child)
        return child

    def exec(self, event: Execed) -> Process | None:
        process = self._processes.get(event.key)
        if process is None:
            return None
        process.n_execs += 1
        process.is_forked_copy = False
        process.comm, process.uid = event.comm, event.uid
        process.argv = event.argv or process.argv
        process.exe = event.exe or process.exe
        process.cwd = event.cwd or process.cwd
        process.forget_samples()  # addresses of the program before
        name = process.program = program_name(process.argv, process.comm)
        copies = [a for a in self.ancestors(process.key) if a.program == name]
        process.n_copies_above = len(copies)
        process.n_same_command_above = sum(
            # Where a folder is not known, it may be another one each time: a walk down a tree. And
            # a subshell has its command line from the shell that it is a copy of.
            copy.argv == process.argv
            and copy.cwd is not None
            and copy.cwd == process.cwd
            and not copy.is_forked_copy
            for copy in copies
        )
        return process

    def exit(self, event: Exited) -> Process | None:
        process = self._processes.get(event.key)
        if process is None or not process.is_alive:
            return None
        process.exited_ns = event.ktime_ns
        self._leave(process)
        process.exit_code, process.term_signal = event.exit_code, event.term_signal
        self._dead.append(event.key)
        return process

    def use_cpu(self, event: Sampled | CpuUsed) -> Process | None:
        process = self._processes.get(event.key)
        if process is None:
            return None
        if isinstance(event, Sampled):
            process.add_cpu(event.ktime_ns, event.period_ns)
            if process.is_alive:
                self._keep_sample(process, event)
        else:
            process.add_cpu(event.ktime_ns, event.on_cpu_ns)
        if process.is_alive:
            self._active[event.key] = process
            self._active.move_to_end(event.key)
        return process

    def _keep_sample(self, process: Process, sample: Sampled) -> None:
        process.add_sample(sample)
        self._sampled.append(process)
        if len(self._sampled) > MAX_SAMPLES_KEPT:
            longest_ago = self._sampled.popleft()
            if longest_ago.samples:
                longest_ago.samples.popleft()

    def forget_inactive(self, now_ns: int) -> None:
        """Who has not used a CPU for as long as detectors look back is active no longer."""
        while self._active:
            key, process = next(iter(self._active.items()))
            if process.last_on_cpu_ns >= now_ns - CPU_WINDOW_NS:
                return
            del self._active[key]

    def forget_old(self, now_ns: int, kept: Container[ProcessKey]) -> None:
        """Drop the long dead, except those in `kept` and those above anything that stays."""
        n_looked_at = len(self._dead)
        for _ in range(n_looked_at):
            process = self._processes.get(self._dead[0])
            is_old = process is None or (
                (process.exited_ns or 0) < now_ns - DEAD_KEPT_NS or len(self._dead) > MAX_DEAD_KEPT
            )
            if not is_old:
                return
            key = self._dead.popleft()
            if process is None:
                continue
            if key in kept or process.children:  # what is below goes first
                self._dead.append(key)
                continue
            self._remove(process)

    def remove_tree(self, key: ProcessKey) -> list[ProcessKey]:
        """Forget `key` and everything below it; returns what was there."""
        removed = [*self.descendants(key)]
        root = self._processes.get(key)
        if root is not None:
            removed.append(root)
        for process in removed:
            self._remove(process)
        return [process.key for process in removed]

    def _insert(self, process: Process) -> Process:
        known = self._processes.get(process.key)
        if known is not None:
            return known
        self._processes[process.key] = self._alive[process.key] = process
        self.n_processes_seen += 1
        if process.parent is not None and (parent := self._processes.get(process.parent)):
            process.parent = parent.key  # one object for all its children
            parent.children[process.key] = None
            parent.n_living_children += 1
        return process

    def _leave(self, process: Process) -> None:
        """It lives no longer, or is not watched any more."""
        if self._alive.pop(process.key, None) is None:
            return
        self._active.pop(process.key, None)
        process.forget_samples()
        parent = self._processes.get(process.parent) if process.parent else None
        if parent is not None and process.key in parent.children:
            parent.n_living_children -= 1

    def _remove(self, process: Process) -> None:
        self._leave(process)
        self._processes.pop(process.key, None)
        if process.parent is not None and (parent := self._processes.get(process.parent)):
            parent.children.pop(process.key, None)
            if not parent.children:
                # An emptied dict keeps the room that it had: 1 MB after a storm.
                parent.children = {}
