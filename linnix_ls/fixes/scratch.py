"""A scratch copy of a workspace, in which a fix is tried: nothing in it reaches the original.

A test needs more than what is tracked, so all is copied, with its times, by which make decides.
Left out are caches, and virtual environments: these cannot be moved, and are linked to. A link
keeps where it leads, but for one to a place in the workspace, which leads into the copy; what is
written here never goes through a link. The folder is removed at the end; what a killed server
has left is swept by the next one, which sees by its lock that nobody uses it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from linnix_ls.config import cache_dir
from linnix_ls.core.text import visible
from linnix_ls.errors import LinnixError
from linnix_ls.private import why_not_private

MAX_ENTRIES = 500_000
MAX_BUILD_FILE_BYTES = 8 << 20
# Of a disk that a copy must not fill.
SPARE_BYTES = 256 << 20
MIN_ROOM_BYTES = 1 << 20
_CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox"})
# A copy of their build folders would build, and write to, the original.
_BUILD_FILES = frozenset({"CMakeCache.txt", "build.ninja", "config.status"})
_IS_CACHE = "CACHEDIR.TAG"
_LOCK = "lock"


class NotCopied(LinnixError):
    """There is no copy of that workspace; the message says why, for people."""


class Scratch:
    """One copy; a context manager that removes it.

    Attributes:
        place: where all copies are.
        folder: that of the copy, which belongs to this user alone.
        temporary: for what a test would leave in /tmp.
        findings_file: where what is found there may be written.
        environments: the virtual environments of the original that the copy links to.
        left_out: build folders that name the original's sources, relative to the root.
    """

    def __init__(self, root: str, place: Path | None = None) -> None:
        self.root = root
        self.environments: list[str] = []
        self.left_out: set[str] = set()
        self.place = place or cache_dir() / "trials"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undoing:
            try:
                self._make(undoing)
            except OSError as error:
                reason = os.strerror(error.errno or 0)
                raise NotCopied(f"there is no place for a copy: {self.place}: {reason}") from error
            self._undoing = undoing.pop_all()
        # By the name that the original has: a test may show it, or look at it.
        self.folder = str(self._outer / "copy" / (os.path.basename(self.root) or "root"))
        self.temporary = str(self._outer / "tmp")
        self.findings_file = str(self._outer / "findings.json")
        return self

    def _make(self, undoing: contextlib.ExitStack) -> None:
        self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if reason := why_not_private(self.place):
            raise NotCopied(f"{reason}; no copy is made there", fix=f"rm -r {self.place}")
        with _locked(self.place / _LOCK):
            self._sweep()
            self._outer = Path(tempfile.mkdtemp(prefix="t-", dir=self.place))
            undoing.callback(remove, self._outer)
            lock_fd = os.open(self._outer / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            undoing.callback(os.close, lock_fd)
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
            os.mkdir(self._outer / "tmp", 0o700)

    def __exit__(self, *_: object) -> None:
        self._undoing.close()

    def fill(self, max_bytes: int, is_cancelled: Callable[[], bool]) -> None:
        """Copy the workspace. Blocks: minutes, for a large one.

        Raises:
            NotCopied: it is too large, or the disk is full.
        """
        if os.path.exists(os.path.join(self.root, "CMakeCache.txt")):
            raise NotCopied(f"{self.root} is built where its sources are, and only there")
        skips_caches = False
        n_bytes, largest = self._measure(max_bytes, skips_caches=False, is_cancelled=is_cancelled)
        if n_bytes > max_bytes:
            skips_caches = True
            n_bytes, largest = self._measure(
                max_bytes, skips_caches=True, is_cancelled=is_cancelled
            )
        if n_bytes > max_bytes:
            raise NotCopied(
                f"{self.root} is larger than {max_bytes >> 20} MB, most of it in {largest}",
                fix="linnix.fixes.max_copy_mb",
            )
        free = shutil.disk_usage(self._outer).free
        if n_bytes + SPARE_BYTES > free:
            raise NotCopied(
                f"a copy of {self.root} takes {n_bytes >> 20} MB, and {self.place} has "
                f"{free >> 20} MB left"
            )
        try:
            self._copy(max_bytes, skips_caches, is_cancelled)
        except OSError as error:
            where = visible(error.filename or self.root, 200)
            reason = os.strerror(error.errno or 0)
            raise NotCopied(f"{where} cannot be copied: {reason}") from error

    def has_room(self) -> bool:
        """Whether the disk takes more: what a test says of its own may be for want of it."""
        disk = os.statvfs(self._outer)
        has_names = disk.f_favail > 0 or disk.f_files == 0
        return has_names and disk.f_bavail * disk.f_frsize >= MIN_ROOM_BYTES

    def mapped(self, path: str) -> str | None:
        """Where a path of the original is in the copy; None for one outside."""
        if path == self.root:
            return self.folder
        inside = path.removeprefix(self.root.rstrip("/") + "/")
        return os.path.join(self.folder, inside) if inside != path else None

    def read(self, path: str) -> bytes:
        """A file of the copy, by its path in the original.

        Raises:
            NotCopied: there is no such file.
        """
        with self._opened(path, os.O_RDONLY) as fd, open(fd, "rb", closefd=False) as file:
            return file.read()

    def write(self, path: str, content: bytes) -> None:
        """The same for writing; the file has to be there.

        Raises:
            NotCopied: there is no such file, it is not in the copy but behind a link, or there is
                no room.
        """
        with self._opened(path, os.O_WRONLY | os.O_TRUNC) as fd, open(fd, "wb", closefd=False) as f:
            f.write(content)

    # ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        copied = self.mapped(os.path.realpath(path))
        real = os.path.realpath(copied) if copied else ""
        if not copied or not real.startswith(os.path.realpath(self.folder) + "/"):
            raise NotCopied(f"{visible(path, 200)} is not in the folder {self.root}")
        try:
            fd = os.open(real, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise NotCopied(f"the copy of {visible(path, 200)}: {reason}") from error

    def _entries(self, folder: str, *, skips_caches: bool) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        names = {entry.name for entry in listed}
        if folder != self.root and skips_caches and _IS_CACHE in names:
            return
        if folder != self.root and names & _BUILD_FILES and self._builds_original(folder):
            self.left_out.add(os.path.relpath(folder, self.root))
            return
        for entry in listed:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and (entry.name in _CACHES or entry.path == str(self.place)):
                continue
            # What git has stored is reached by another way: see _share_objects.
            if is_folder and entry.name == "objects" and os.path.basename(folder) == ".git":
                continue
            if entry.name == ".git" and not is_folder and _leads_outside(entry.path):
                continue
            yield entry

    def _builds_original(self, folder: str) -> bool:
        """Whether a build folder knows its sources by their full path."""
        root = re.compile(re.escape(os.fsencode(self.root)) + rb"(?![\w.-])")
        for name in _BUILD_FILES:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        if root.search(file.read(MAX_BUILD_FILE_BYTES)):
                            return True
        return False

    def _measure(
        self, max_bytes: int, *, skips_caches: bool, is_cancelled: Callable[[], bool]
    ) -> tuple[int, str]:
        """Bytes on the disk, counted until they are clearly too many; the largest parts of it."""
        by_part: Counter[str] = Counter()
        n_bytes = n_entries = 0
        todo = [(self.root, "")]
        while todo:
            folder, part = todo.pop()
            try:
                entries = list(self._entries(folder, skips_caches=skips_caches))
            except OSError:
                continue
            for entry in entries:
                n_entries += 1
                inner = part or entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not _is_environment(entry.path):
                        todo.append((entry.path, inner))
                    continue
                with contextlib.suppress(OSError):
                    size = entry.stat(follow_symlinks=False).st_blocks * 512
                    n_bytes += size
                    by_part[inner] += size
            if is_cancelled() or n_entries > MAX_ENTRIES or n_bytes > 20 * max_bytes:
                break
        if n_entries > MAX_ENTRIES:
            raise NotCopied(f"{self.root} has more than {MAX_ENTRIES} files")
        largest = [
            f"{visible(part, 60)} ({size >> 20} MB)" for part, size in by_part.most_common(3)
        ]
        return n_bytes, ", ".join(largest)

    def _copy(self, max_bytes: int, skips_caches: bool, is_cancelled: Callable[[], bool]) -> None:
        os.makedirs(self.folder, mode=0o700)
        todo = [self.root]
        folders = []
        n_bytes = 0
        while todo and not is_cancelled():
            folder = todo.pop()
            target = self.mapped(folder)
            assert target is not None
            folders.append((target, os.stat(folder)))
            try:
                entries = list(self._entries(folder, skips_caches=skips_caches))
            except PermissionError:
                continue
            for entry in entries:
                path = os.path.join(target, entry.name)
                if entry.is_symlink():
                    self._link(entry.path, path)
                elif entry.is_dir(follow_symlinks=False):
                    if _is_environment(entry.path):
                        os.symlink(entry.path, path)
                        self.environments.append(entry.path)
                    else:
                        os.mkdir(path, 0o700)
                        todo.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(PermissionError):  # a test cannot read it either
                        n_bytes += _copy_file(entry.path, path)
                    if n_bytes > 2 * max_bytes:  # it grows
                        raise NotCopied(f"{self.root} grows while it is copied")
                # Pipes, sockets and devices are nobody's source.
            if os.path.basename(folder) == ".git" and folder == os.path.join(self.root, ".git"):
                _share_objects(folder, target)
        for target, status in reversed(folders):
            os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _link(self, path: str, copy: str) -> None:
        leads_to = os.readlink(path)
        os.symlink(self.mapped(leads_to) or leads_to, copy)

    def _sweep(self) -> None:
        """Remove what servers left that were killed."""
        for left in self.place.glob("t-*"):
            try:
                with _locked(left / _LOCK, is_waiting=False):
                    remove(left)
            except OSError:
                continue


def root_for(paths: Iterable[str], cwd: str, folders: Iterable[str]) -> str | None:
    """The folder to copy: it holds the files to change and is where, or above where, the test
    runs. A workspace folder, else git's, else where it runs."""
    paths = [os.path.realpath(path) for path in paths]
    git = _git_root(paths[0]) if paths else None
    candidates = [*sorted(map(os.path.realpath, folders), key=len, reverse=True), git, cwd]
    for candidate in candidates:
        if candidate and candidate not in ("/", os.path.realpath(os.path.expanduser("~"))):
            inside = candidate.rstrip("/") + "/"
            if all(f"{path}/".startswith(inside) for path in (*paths, os.path.realpath(cwd))):
                return candidate
    return None


def remove(folder: str | Path) -> None:
    """Remove a folder for good, whatever its rights are."""

    def again(function: Callable[[str], object], path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            if os.path.isdir(path) and not os.path.islink(path):
                os.chmod(path, 0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                function(path)

    shutil.rmtree(folder, onerror=again)


def _is_environment(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "pyvenv.cfg"))


def _leads_outside(git_file: str) -> bool:
    """Whether a worktree's or submodule's .git names a full path: git would write there."""
    try:
        with open(git_file, "rb") as file:
            return file.read(4096).partition(b"gitdir:")[2].strip().startswith(b"/")
    except OSError:
        return True


def _git_root(path: str) -> str | None:
    folder = os.path.dirname(path)
    while folder != "/":
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        folder = os.path.dirname(folder)
    return None


def _share_objects(git: str, copy: str) -> None:
    """Let git find there what it has stored here; what it stores anew stays there."""
    info = os.path.join(copy, "objects", "info")
    os.makedirs(info)
    with open(os.path.join(info, "alternates"), "wb") as file:
        file.write(os.fsencode(os.path.join(git, "objects")) + b"\n")


def _copy_file(path: str, copy: str) -> int:
    """Without following a link that was put there meanwhile. The blocks are shared where the file
    system can do that."""
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return 0
        target = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _copy_content(source, target)
            os.fchmod(target, stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IWUSR)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(target)
        return status.st_blocks * 512
    finally:
        os.close(source)


def _copy_content(source: int, target: int) -> None:
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        with (
            open(source, "rb", closefd=False) as reader,
            open(target, "wb", closefd=False) as writer,
        ):
            shutil.copyfileobj(reader, writer)


@contextlib.contextmanager
def _locked(path: Path, *, is_waiting: bool = True) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if is_waiting else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)
