"""The agent as a service of the machine: what installing and removing it takes, step by step.

A plan is made first and shown; nothing is done before somebody agrees to it (`cli.agent`). What
root runs from then on only root can change: the code is copied to /opt/linnix-ls, unless a package
has put it where it is. Not here: the packages (`deploy/package.sh`).
"""

from __future__ import annotations

import contextlib
import grp
import importlib.metadata
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.invocation import as_root
from linnix_ls.privilege import wants_more_to_sample

GROUP = "linnix-ls"
SOCKET_UNIT, SERVICE_UNIT = "linnix-ls-agent.socket", "linnix-ls-agent.service"
ENABLE = f"systemctl enable --now {SOCKET_UNIT}"
TARGET = Path("/opt/linnix-ls")
CACHE = Path("/var/cache/linnix-ls")
UNIT_FOLDER = Path("/etc/systemd/system")
# What the service may, besides, where the kernel asks for it.
SAMPLING = UNIT_FOLDER / f"{SERVICE_UNIT}.d" / "sampling.conf"
PACKAGED = Path("/usr/lib/linnix-ls")
LOCAL_MODULES = Path("/usr/local/lib/linnix-ls")
_PACKAGED_UNIT_FOLDERS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_MARK = "made-by-linnix-ls"
_COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        words: what it does, with every path, name and command that matters.
    """

    words: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done; nothing when there are no steps.

    Attributes:
        warnings: what a person should know before they agree.
        afterwards: what is left to do, and how to undo it.
    """

    summary: str
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = field(default=())


def install(user: str | None = None, *, is_only_shown: bool = False) -> Plan:
    """Everything that is missing for the agent to be there when somebody needs it.

    Args:
        user: who may use it; None: whoever has called sudo.
        is_only_shown: nobody will do it, so that it need not be possible here.

    Raises:
        UsageError: no such user.
        LinnixError: there is no systemd here, or root cannot safely run what would be installed.
    """
    if not (is_systemd_here() or is_only_shown):
        raise LinnixError(
            "no systemd runs here, so there is nothing that would start an agent",
            fix=f"{as_root('agent')}   (in a terminal of its own, for as long as you work)",
        )
    user = _user_to_add(user)
    is_packaged = Path(__file__).is_relative_to(PACKAGED)
    python, warnings = (None, ()) if is_packaged else _copied_from()
    if not is_systemd_here():
        warnings = (
            "No systemd runs here: on this machine, as it is, this cannot be done.\n",
            *warnings,
        )
    is_allowed_more = SAMPLING.exists() or not wants_more_to_sample()
    steps: list[Step] = []
    if not _has_group():
        steps.append(_command(f"make the group {GROUP}", "groupadd", "--system", GROUP))
    if user is not None and not _is_member(user):
        steps.append(
            _command(f"let {user} use the agent", "usermod", "--append", "--groups", GROUP, user)
        )
    if python is not None:
        refuse_unsafe(TARGET)
        steps.append(
            Step(
                f"copy linnix-ls and the libraries it needs to {TARGET}, which only root can"
                f" change, to be run by {python}",
                lambda: _copy_code(python),
            )
        )
        for name in (SOCKET_UNIT, SERVICE_UNIT):
            refuse_unsafe(UNIT_FOLDER / name)
            steps.append(_unit_step(name))
    if not is_allowed_more:
        refuse_unsafe(SAMPLING)
        words = f"write {SAMPLING}: this kernel lets nobody sample without CAP_SYS_ADMIN"
        steps.append(Step(words, _write_sampling))
    if python is not None or not is_allowed_more:
        steps.append(_command("make them known", "systemctl", "daemon-reload"))
        steps.append(
            _command(
                "end an agent of the old code, if one runs",
                "systemctl",
                "try-restart",
                SERVICE_UNIT,
            )
        )
    if steps or not _is_open():
        steps.append(
            _command("open the socket, now and at every start of the machine", *ENABLE.split())
        )
    if not steps:
        return Plan(f"The agent is installed already, and {user or 'root'} may use it.")
    login = (
        (f"{user} has to log out and in again once (in one shell, now: newgrp {GROUP}).",)
        if user is not None
        else (f"To let somebody use it: usermod -aG {GROUP} NAME, and they log in again.",)
    )
    return Plan(
        "This installs the privileged part of linnix-ls as a service of this machine. systemd"
        "\nstarts it when a member of the group first needs it; it ends when nobody has for ten"
        "\nminutes. Each user sees their own processes only. Nothing is fetched from anywhere.",
        tuple(steps),
        warnings,
        (*login, f"To undo all of it: {as_root('agent', '--uninstall')}"),
    )


def uninstall() -> Plan:
    """Everything of `install` that is there.

    Raises:
        LinnixError: a package has installed it.
    """
    is_packaged = any((folder / SOCKET_UNIT).exists() for folder in _PACKAGED_UNIT_FOLDERS)
    units = [UNIT_FOLDER / name for name in (SOCKET_UNIT, SERVICE_UNIT)]
    there = [path for path in units if os.path.lexists(path)]
    if is_packaged and not there:
        raise LinnixError(
            "the agent came with a package, which is removed like any other",
            fix="sudo apt-get remove linnix-ls   (Fedora: sudo dnf remove linnix-ls)",
        )
    steps: list[Step] = []
    if there and is_systemd_here():
        names = [path.name for path in there]
        steps.append(
            _command("end the agent and close its socket", "systemctl", "disable", "--now", *names)
        )
    steps += [Step(f"remove {path}", path.unlink) for path in there]
    if there and SAMPLING.exists():
        steps.append(Step(f"remove {SAMPLING}", _remove_sampling))
    if there and is_systemd_here():
        steps.append(_command("forget them", "systemctl", "daemon-reload"))
    if (TARGET / _MARK).exists():
        steps.append(Step(f"remove {TARGET}", lambda: shutil.rmtree(TARGET)))
    if _has_group() and not is_packaged:
        steps.append(_command(f"remove the group {GROUP}", "groupdel", GROUP))
    if steps and CACHE.is_dir():
        steps.append(Step(f"remove {CACHE}", lambda: shutil.rmtree(CACHE)))
    if not steps:
        return Plan("The agent is not installed; there is nothing to remove.")
    return Plan("This removes the agent from this machine.", tuple(steps))


def is_systemd_here() -> bool:
    """Whether systemd runs this machine: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def is_unit_installed() -> bool:
    """By a package, or by us."""
    return any((folder / SOCKET_UNIT).exists() for folder in (UNIT_FOLDER, *_PACKAGED_UNIT_FOLDERS))


# -- what is there -------------------------------------------------------------------------------


def _has_group() -> bool:
    try:
        grp.getgrnam(GROUP)
    except KeyError:
        return False
    return True


def _is_member(user: str) -> bool:
    try:
        return user in grp.getgrnam(GROUP).gr_mem
    except KeyError:
        return False


def _is_open() -> bool:
    if not is_systemd_here():
        return False
    done = subprocess.run(
        ["systemctl", "is-active", "--quiet", SOCKET_UNIT], check=False, timeout=_COMMAND_TIMEOUT_S
    )
    return done.returncode == 0


def _user_to_add(name: str | None) -> str | None:
    """None for root, who may anyway."""
    name = name or os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER")
    if name is None and os.geteuid() != 0:
        name = pwd.getpwuid(os.geteuid()).pw_name
    if name is None:
        return None
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"there is no user {name!r}") from None
    return account.pw_name if account.pw_uid != 0 else None


# -- whom root can trust --------------------------------------------------------------------------


def changeable_by(path: Path) -> str | None:
    """Who but root could put something else in the place of `path`: the first such owner or
    permission on the way to it, in words. What is not there yet is judged by its folder."""
    # Each link on the way is a place where the way can be changed, too.
    for step in _way_to(path):
        try:
            found = os.lstat(step)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{step}: {error.strerror}"
        if found.st_uid != 0:
            return f"{step} belongs to {_user(found.st_uid)}"
        is_sticky_folder = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if stat.S_ISLNK(found.st_mode) or is_sticky_folder:
            continue
        if found.st_mode & 0o002 or (found.st_mode & 0o020 and found.st_gid != 0):
            return f"{step} can be changed by others than root"
    return None


def _way_to(path: Path, n_links: int = 0) -> Iterator[Path]:
    """All that is passed on the way, links and what they lead to included."""
    at = Path("/")
    for name in path.absolute().parts[1:]:
        at = at / name
        yield at
        if at.is_symlink() and n_links < 40:
            led_to = Path(os.path.normpath(at.parent / os.readlink(at)))
            yield from _way_to(led_to, n_links + 1)
            at = led_to


def refuse_unsafe(path: Path) -> None:
    """Raises:
    LinnixError: writing to `path` as root could be led somewhere else.
    """
    if os.path.islink(path):
        raise LinnixError(f"{path} is a link; not written to", fix=f"sudo rm {path}")
    danger = changeable_by(path)
    if danger is not None:
        raise LinnixError(f"{path} is not safe to write to as root: {danger}")
    if path == TARGET and path.exists() and not (path / _MARK).exists():
        raise LinnixError(
            f"{path} is there, and was not made by linnix-ls", fix="look at it, and move it away"
        )


def _copied_from() -> tuple[Path, tuple[str, ...]]:
    """The interpreter that would run the copy, and what is to be known of its source."""
    python = Path(os.path.realpath(sys.executable))
    danger = changeable_by(python)
    if danger is not None:
        raise LinnixError(
            f"this Python, {python}, is not one that root should run at every start: {danger}",
            fix="make the environment with the system's Python (deploy/setup.sh does:"
            " /usr/bin/python3), or install the package (make packages)",
        )
    source = Path(__file__).parent
    danger = changeable_by(source) or changeable_by(Path(sys.prefix))
    if danger is None:
        return python, ()
    return python, (
        f"Know this first: the code is copied from {source}"
        f"\nas it is now, and {danger}."
        "\nWhoever can change it decides what is copied, and root will run the copy: go on only if"
        "\nyou trust what is there now. What changes there later does not reach the service, until"
        "\nyou do this again.\n",
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


# -- doing it -------------------------------------------------------------------------------------


def _command(purpose: str, *argv: str) -> Step:
    return Step(f"{purpose}: {' '.join(argv)}", lambda: _run(argv))


def _run(argv: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinnixError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        raise LinnixError(f"{' '.join(argv)} failed: {done.stderr.strip() or done.returncode}")


def _unit_step(name: str) -> Step:
    path = UNIT_FOLDER / name
    return Step(f"write {path}", lambda: _write(path, unit_text(name), 0o644))


def _write_sampling() -> None:
    SAMPLING.parent.mkdir(mode=0o755, exist_ok=True)
    _write(SAMPLING, unit_text(SAMPLING.name), 0o644)


def _remove_sampling() -> None:
    SAMPLING.unlink()
    with contextlib.suppress(OSError):  # an administrator's own files are in there
        SAMPLING.parent.rmdir()


def unit_text(name: str) -> str:
    """As in the packages, but for the place of the program."""
    package = Path(__file__).parent
    # Inside the installed package, or beside it in a checkout.
    folders = (package / "systemd", package.parent / "deploy" / "systemd")
    text = next(path for folder in folders if (path := folder / name).is_file()).read_text()
    return text.replace("/usr/bin/linnix-ls", f"{TARGET}/bin/linnix-ls")


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never through a link."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "w") as file:
        os.fchmod(fd, mode)
        file.write(text)
    new.rename(path)


def _copy_code(python: Path) -> None:
    """Beside the old copy, and then in its place."""
    new, old = TARGET.with_name(".linnix-ls.new"), TARGET.with_name(".linnix-ls.old")
    for leftover in (new, old):
        refuse_unsafe(leftover)
        if leftover.exists():
            shutil.rmtree(leftover)
    TARGET.parent.mkdir(exist_ok=True)
    new.mkdir(mode=0o755)
    (new / _MARK).touch()
    lay_out(new, TARGET, python)
    if TARGET.exists():
        TARGET.rename(old)
    new.rename(TARGET)
    shutil.rmtree(old, ignore_errors=True)


def lay_out(root: Path, final: Path, python: Path) -> None:
    """Make of `root`, which will be `final`, an environment with this very linnix-ls, its
    libraries and nothing else in it, compiled, and everybody's to read.

    An environment rather than a folder of modules: so what is started with its interpreter finds
    the same modules, and no user's site or PYTHONPATH counts.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    modules = frame(root, final, python, version)
    programs = root / "bin"
    for name in needed_distributions():
        for file in importlib.metadata.distribution(name).files or ():
            if file.parts[0] == ".." and file.parts[-2:-1] == ("bin",):
                to = programs / file.name
                is_wanted = file.name == "py-spy"  # the only program of theirs that we use
            else:
                to, is_wanted = modules / file, file.parts[0] != ".." and file.suffix != ".pyc"
            if is_wanted:
                _copy_file(Path(str(file.locate())), to)
    _copy_ourselves(modules / "linnix_ls")
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)
    subprocess.run(
        [python, "-I", "-m", "compileall", "-q", "-s", root, "-p", final, modules], check=False
    )


def frame(root: Path, final: Path, python: Path, version: str) -> Path:
    """All of that environment but the modules; returns the folder for them."""
    modules, programs = root / "lib" / f"python{version}" / "site-packages", root / "bin"
    for folder in (modules, programs):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "pyvenv.cfg").write_text(
        f"home = {python.parent}\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    (programs / "python3").symlink_to(python)
    (programs / "linnix-ls").write_text(LAUNCHER.format(python=final / "bin/python3"))
    (programs / "linnix-ls").chmod(0o755)
    # For what an administrator adds: libraries of models.
    (modules / "local.pth").write_text(f"{LOCAL_MODULES}\n")
    return modules


LAUNCHER = """#!{python} -I
import sys

from linnix_ls.cli.main import main

sys.exit(main())
"""


def needed_distributions() -> list[str]:
    """Names of what linnix-ls needs to run, itself left out."""
    needed: set[str] = set()
    to_look_at = ["linnix-ls"]
    while to_look_at:
        distribution = importlib.metadata.distribution(to_look_at.pop())
        for requirement in distribution.requires or ():
            name, _, marker = requirement.partition(";")
            if "extra" in marker or "sys_platform" in marker:
                continue  # what is optional, and what is for Windows
            bare = re.split(r"[^\w.-]", name.strip())[0].lower().replace("_", "-")
            if bare not in needed and _is_there(bare):
                needed.add(bare)
                to_look_at.append(bare)
    return sorted(needed)


def _is_there(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _copy_ourselves(to: Path) -> None:
    """From a checkout, too, where probes, pages and units are beside the package."""
    package = Path(__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            _copy_file(path, to / path.relative_to(package))
    for inside, beside in (("bpf", "bpf"), ("docs", "docs"), ("systemd", "deploy/systemd")):
        source = package.parent / beside
        if (to / inside).exists() or not source.is_dir():
            continue
        for path in sorted(source.rglob("*")):
            if path.suffix in (".c", ".h", ".md", ".service", ".socket"):
                _copy_file(path, to / inside / path.relative_to(source))


def _copy_file(source: Path, to: Path) -> None:
    """A regular file; what a link leads to is nobody's to publish."""
    to.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise LinnixError(f"{source} is not a regular file; not copied")
        with to.open("xb") as copy:
            shutil.copyfileobj(file, copy)
    to.chmod(0o755 if found.st_mode & 0o111 else 0o644)
