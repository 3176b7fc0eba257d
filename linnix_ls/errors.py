"""What can go wrong, split by whose business it is. Text and exit code are made in `cli`."""

from __future__ import annotations

import errno
import os


class LinnixError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        message: what is wrong, in words for a person.
        fix: what to do about it; a command where one exists.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class UsageError(LinnixError):
    """What was asked for makes no sense or does not exist."""

    exit_code = 2


class TracerUnavailable(LinnixError):
    """This tracer cannot work on this machine; another may.

    Args:
        cause: a short constant for programs: ``no_permission``, ``no_btf``, ``no_bpftool``,
            ``no_bcc``, ``wrong_bcc``, ``load_failed``, ``worker_died``,
            ``no_answer``, ``refused``, ``pid_namespace``.
    """

    def __init__(self, message: str, *, fix: str | None = None, cause: str) -> None:
        super().__init__(message, fix=fix)
        self.cause = cause


class AgentError(LinnixError):
    """The agent cannot be reached, refused, or spoke another protocol."""


class AgentTooOld(AgentError):
    """The agent is of an older version, which cannot do this."""


class AlreadyServing(AgentError):
    """Another agent listens at that place: use it."""


class PlaygroundError(LinnixError):
    """A probe of the user's is not checked, loaded or read, for a reason that is no fault of its
    source."""


class Superseded(PlaygroundError):
    """A newer text of the same document is being checked in its place."""


class TraceFileError(LinnixError):
    """A recorded trace cannot be read."""

    exit_code = 2


class FindingsFileError(LinnixError):
    """A findings document cannot be read."""

    exit_code = 2


def is_for_want_of_descriptors(error: BaseException | None) -> bool:
    """Whether that is why: this process, or the machine, has no file descriptor left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        # Of a library that could not be loaded there are only words.
        if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
