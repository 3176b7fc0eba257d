"""Who may connect to an agent's socket: members of its group. For those who may not, the command
that changes it."""

from __future__ import annotations

import enum
import grp
import os
import pwd
import shlex
import stat
from pathlib import Path
from typing import NamedTuple


class Membership(enum.Enum):
    """Of the group that a socket belongs to."""

    IN_FORCE = "in force"
    AFTER_LOGIN = "after the next login"  # added since this session began
    NONE = "none"


class Access(NamedTuple):
    """What the group of a socket means for us."""

    group: str
    membership: Membership

    @property
    def problem(self) -> str | None:
        """In words; None for members."""
        if self.membership is Membership.IN_FORCE:
            return None
        if self.membership is Membership.AFTER_LOGIN:
            return f"you are in the group {self.group} from your next login on"
        return f"only members of the group {self.group} may use the agent"

    @property
    def fix(self) -> str | None:
        """The command, and what comes after it."""
        if self.membership is Membership.IN_FORCE:
            return None
        if self.membership is Membership.AFTER_LOGIN:
            return f"log out and in again (in one shell, now: newgrp {self.group})"
        return f"{join_command(self.group)}   (then log out and in again)"


def join_command(group: str, user: str | None = None) -> str:
    """What adds a user (this one) to a group."""
    return f"sudo usermod -aG {shlex.quote(group)} {shlex.quote(user or user_name())}"


def access_of(path: Path) -> Access | None:
    """None when no group of the socket at `path` decides: there is none, or all or none may."""
    try:
        found = path.stat()
    except OSError:
        return None
    may = stat.S_IMODE(found.st_mode)
    if may & 0o006 == 0o006 or may & 0o060 != 0o060:
        return None
    return Access(group_name(found.st_gid), membership_of(found.st_gid))


def membership_of(gid: int) -> Membership:
    """Of this process's user; root needs none."""
    if os.geteuid() == 0 or gid in (os.getegid(), *os.getgroups()):
        return Membership.IN_FORCE
    try:
        members = grp.getgrgid(gid).gr_mem
    except KeyError:
        members = []
    return Membership.AFTER_LOGIN if user_name() in members else Membership.NONE


def user_name() -> str:
    """Of this process; its number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def group_name(gid: int) -> str:
    """Its number where it has no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
