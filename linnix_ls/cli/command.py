"""CMD of `linnix-ls run`: forked at once, released later, waited for as if we were not there.

    shell ── linnix-ls run ──┬── CMD
                             └── witness

All three are in one process group, the one that the shell made, on the same terminal. CMD is
forked before anything else happens in this process, so it has exactly what we were given. It
waits for `release`, so that it can be watched from its first instruction.

A signal that reaches us has reached CMD too if it was sent to the group (Ctrl-C, the shell's
`fg` and `kill %1`, a script's `kill 0`), and must not be sent twice; if it was sent to us alone
(a supervisor's SIGTERM), it must be passed on. siginfo does not tell the two apart; the witness
does: it sits in the group and reports each signal that it gets.

Not here: what is watched, or printed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from linnix_ls.errors import LinnixError

if TYPE_CHECKING:
    import asyncio

NOT_FOUND = 127
NOT_EXECUTABLE = 126

# All but what cannot be caught, what we need ourselves, and what means that we have crashed.
_PASSED_ON = signal.valid_signals() - {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP),
    *(signal.SIGABRT, signal.SIGSYS, signal.SIGXCPU),
}
# How long the witness may take to report a signal that we got as well.
_WITNESS_S = 0.1


class CommandNotRun(LinnixError):
    """CMD could not be started: exit code 127 when it does not exist, else 126."""

    def __init__(self, name: str, errno_: int) -> None:
        super().__init__(f"cannot run {name}: {os.strerror(errno_)}")
        self.exit_code = NOT_FOUND if errno_ in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


class Command:
    """A command that waits for `release`. Makes processes: call it before there are threads."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._name = argv[0]
        _undo_python_signal_setup()
        release_read, self._release_fd = os.pipe()
        self._failure_fd, failure_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._release_fd)
            _become(argv, release_read, failure_write)
        os.close(release_read)
        os.close(failure_write)
        ignored = {s for s in _PASSED_ON if signal.getsignal(s) is signal.SIG_IGN}
        self._signals = _PASSED_ON - ignored
        self._witness = _Witness(self._signals)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._group_signals_at: dict[int, float] = {}

    def attend(self) -> asyncio.Future[int]:
        """Begin to behave as CMD's stand-in: pass signals on, stop when it stops.

        Until CMD ends, signals do nothing else to us. The future is CMD's end: its wait status.
        """
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        for signum in self._signals:
            self._loop.add_signal_handler(signum, self._receive, signum)
        self._loop.add_signal_handler(signal.SIGCHLD, self._wait)
        self._loop.add_reader(self._witness.fd, self._hear_witness)
        self._wait()
        return self._ended

    def release(self) -> None:
        """Let CMD begin."""
        with contextlib.suppress(BrokenPipeError):  # it was killed while it waited
            os.write(self._release_fd, b"!")

    def exit_code(self, status: int) -> int:
        """CMD's exit code, or 128+n after signal n.

        Raises:
            CommandNotRun: there was no CMD to run.
        """
        failure = os.read(self._failure_fd, 16)
        if failure:
            raise CommandNotRun(self._name, int(failure))
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def close(self) -> None:
        """A CMD that was never released ends; one that runs goes on."""
        os.close(self._release_fd)
        os.close(self._failure_fd)
        self._witness.close()

    # -- signals -------------------------------------------------------------------------------

    def _receive(self, signum: int) -> None:
        self._loop.call_later(_WITNESS_S, self._pass_on, signum)

    def _hear_witness(self) -> None:
        heard = os.read(self._witness.fd, 4096)
        if not heard:  # killed; from here on all signals count as sent to us alone
            self._loop.remove_reader(self._witness.fd)
        for signum in heard:
            self._group_signals_at[signum] = time.monotonic()

    def _pass_on(self, signum: int) -> None:
        was_for_all = time.monotonic() - self._group_signals_at.get(signum, -60) < 2 * _WITNESS_S
        if not was_for_all and not self._ended.done():
            with contextlib.suppress(PermissionError):  # a CMD like sudo is not ours to signal
                os.kill(self.pid, signum)

    # -- waiting -------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Take what SIGCHLD announced: CMD stopped, or ended."""
        while not self._ended.done():
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                _stop_as_well(os.WSTOPSIG(status))
            else:
                self._end(status)

    def _end(self, status: int) -> None:
        self._loop.remove_reader(self._witness.fd)
        for signum in (*self._signals, signal.SIGCHLD):
            self._loop.remove_signal_handler(signum)
        # asyncio leaves Python's handler there, which would raise somewhere.
        if signal.SIGINT in self._signals:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._ended.set_result(status)


class _Witness:
    """A process of our group that reports on `fd` each signal that it gets, one byte each.

    It ends when we do, however that happens.
    """

    def __init__(self, signals: set[signal.Signals]) -> None:
        self.fd, report_fd = os.pipe()
        alive_read, self._alive_fd = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._alive_fd)
                _let_go_of_inherited_fds(0, 1, 2)
                self._report(signals, report_fd, alive_read)
            finally:
                os._exit(0)
        os.close(report_fd)
        os.close(alive_read)
        os.read(self.fd, 1)  # it is ready: no signal can kill it any more

    @staticmethod
    def _report(signals: set[signal.Signals], report_fd: int, alive_fd: int) -> None:
        for signum in signals:
            signal.signal(signum, lambda *_: None)
        os.set_blocking(report_fd, False)
        # The C half of Python's signal handling writes the signal's number there by itself.
        signal.set_wakeup_fd(report_fd, warn_on_full_buffer=False)
        os.write(report_fd, b"\0")
        os.read(alive_fd, 1)

    def close(self) -> None:
        os.close(self._alive_fd)
        os.close(self.fd)
        os.waitpid(self._pid, 0)


def keep_standard_fds_free() -> None:
    """Where we were started without stdin, stdout or stderr, see to it that no fd of ours takes
    that number and is taken for it. Before anything is opened. CMD finds them closed again."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def leave_streams_to_command() -> None:
    """Give up what was meant for CMD: stdin, stdout, and fds from 3 on that were inherited.

    Or the reader of CMD's output would wait for us as well, and a lock that a script holds by an
    fd would be held by us. stderr is ours as much as CMD's.
    """
    _let_go_of_inherited_fds(0, 1)


def _let_go_of_inherited_fds(*standard_fds: int) -> None:
    null_fd = os.open(os.devnull, os.O_RDWR)
    for fd in standard_fds:
        os.dup2(null_fd, fd)
    os.close(null_fd)
    for fd in map(int, os.listdir("/proc/self/fd")):
        # What Python opened is not inheritable; what it was given is.
        with contextlib.suppress(OSError):
            if fd > 2 and os.get_inheritable(fd):
                os.close(fd)


def _undo_python_signal_setup() -> None:
    """Give signals the meaning that they had before Python started, as far as can be known.

    Python ignores these two without looking at what they were; that they were ignored before
    cannot be told any more, and is rare.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _become(argv: Sequence[str], release_fd: int, failure_fd: int) -> NoReturn:
    """In the child: wait, then be CMD. Without a release, end."""
    try:
        if os.read(release_fd, 1):
            _exec(argv, _environment_at_start())
    except OSError as error:
        os.write(failure_fd, str(error.errno).encode())
    finally:
        os._exit(1)


def _exec(argv: Sequence[str], environment: Mapping[bytes, bytes]) -> NoReturn:
    try:
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - it is what was asked for
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without #!: execvp(3) and all shells give it to sh.
        shell = "/bin/sh"
        os.execve(shell, [shell, error.filename, *argv[1:]], environment)  # noqa: S606 - as above


def _environment_at_start() -> Mapping[bytes, bytes]:
    """The environment that we were given. Python adds LC_CTYPE to it in the C locale (PEP 538)."""
    try:
        block = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environb
    entries = (entry.partition(b"=") for entry in block.split(b"\0") if entry)
    return {name: value for name, separator, value in entries if separator}


def _stop_as_well(signum: int) -> None:
    """CMD stopped: stop too, by the same signal, so that the shell takes the terminal back.

    Returns when somebody continued us: `fg` and `bg` do that to the whole group. Where nobody
    would, CMD's stop is a matter between it and who stopped it.
    """
    if not _is_under_job_control():
        return
    if signum == signal.SIGSTOP:
        signal.raise_signal(signum)
        return
    handler = signal.signal(signum, signal.SIG_DFL)
    signal.raise_signal(signum)
    signal.signal(signum, handler)


def _is_under_job_control() -> bool:
    """Whether a shell on our terminal may be waiting for us to stop."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    parent = os.getppid()
    return parent != 0 and os.getsid(parent) == os.getsid(0)
