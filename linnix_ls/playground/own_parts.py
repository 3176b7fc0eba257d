"""The user's edits of the product's own probes: copies in a folder of the user's.

All parts lie together, as in the installed folder, so that each is compiled with the others as the
user has them. Beside them, in ``.shipped``, is what each was copied from: a copy that nobody has
edited follows the installed one when that changes, and of one that was edited it can be told that
the installed one has. Never is an edited file written over, but by `reset`, which keeps it. Not
here: running them (`base.Playground`).
"""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from linnix_ls.errors import PlaygroundError
from linnix_ls.playground.base import PartCopy, PartDiff
from linnix_ls.tracer.bpf_source import PROBE_FILES, bpf_dir

PARTS = ("events.h", *PROBE_FILES)
_BASE = ".shipped"


def usual_folder() -> Path:
    """Where configuration of the user's lies."""
    config = os.environ.get("XDG_CONFIG_HOME")
    base = Path(config) if config and os.path.isabs(config) else Path.home() / ".config"
    return base / "linnix-ls" / "bpf"


class OwnParts:
    """See the module.

    Args:
        text_of: a file's text as the editor has it; None when there is none.
        shipped: the installed folder.
    """

    def __init__(self, text_of: Callable[[str], str | None], shipped: Path | None = None) -> None:
        self._text_of = text_of
        self._shipped = shipped or bpf_dir()
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        return self._folder or usual_folder()

    def use_folder(self, folder: str | None) -> None:
        """None: the usual one."""
        self._folder = Path(folder).expanduser() if folder else None

    def part(self, path: str) -> str | None:
        """Which part a file is: one that lies together with all the others."""
        where = Path(path)
        is_one = where.name in PARTS and all((where.parent / name).is_file() for name in PARTS)
        return where.name if is_one else None

    def is_shipped(self, path: str) -> bool:
        """Whether it is an installed part itself."""
        where = Path(path)
        return where.name in PARTS and where.parent == self._shipped

    def edits(self, path: str) -> dict[str, str]:
        """Of the folder of `path`: the parts that are not as shipped, as the editor has them."""
        folder = Path(path).parent
        texts = {name: self._text_of(str(folder / name)) for name in PARTS}
        return {
            name: _unix(text)
            for name, text in texts.items()
            if text is not None and _unix(text) != self._shipped_text(name)
        }

    def copies(self) -> list[PartCopy]:
        """Those that there are."""
        found = []
        for name in PARTS:
            text = self._text_of(str(self.folder / name))
            if text is None:
                continue
            is_edited = _unix(text) != self._shipped_text(name)
            base = _read(self.folder / _BASE / name)
            is_outdated = is_edited and base is not None and base != self._shipped_text(name)
            found.append(PartCopy(name, str(self.folder / name), is_edited, is_outdated))
        return found

    def make_copy(self, name: str) -> str:
        """The path of the copy of a part. All parts are made that there are not, and those that
        nobody has edited follow the shipped ones.

        Raises:
            PlaygroundError: there is no such part, or the folder cannot be written.
        """
        if name not in PARTS:
            raise PlaygroundError(
                "linnix-ls has no probe of this name", fix=f"one of {', '.join(PARTS)}"
            )
        try:
            (self.folder / _BASE).mkdir(parents=True, exist_ok=True)
            for part in PARTS:
                path, base = self.folder / part, self.folder / _BASE / part
                shipped = self._shipped_text(part)
                if not os.path.lexists(path) or _read(path) == _read(base) != shipped:
                    _write(path, shipped)
                    _write(base, shipped)
                elif _read(path) == shipped != _read(base):
                    _write(base, shipped)
        except OSError as error:
            raise PlaygroundError(f"no copy can be made: {error}") from error
        return str(self.folder / name)

    def diff(self, path: str, *, against_base: bool) -> PartDiff | None:
        """See `base.Workbench`."""
        name = self.part(path)
        if name is None:
            return None
        shipped = str(self._shipped / name)
        before, after = (self._base(path), shipped) if against_base else (shipped, path)
        if not os.path.isfile(before):
            return None
        old = (_read(Path(before)) or "").splitlines(keepends=True)
        new = _unix(self._text_of(after) or "").splitlines(keepends=True)
        title = f"{name} as it was copied" if against_base else f"{name} as shipped"
        other = f"{name} as shipped" if against_base else f"{name} as edited"
        return PartDiff(before, after, "".join(difflib.unified_diff(old, new, title, other)))

    def rebase(self, path: str) -> None:
        """See `base.Workbench`."""
        name = self.part(path)
        if name and not self.is_shipped(path):
            with contextlib.suppress(OSError):  # it is told once more then
                _write(Path(self._base(path)), self._shipped_text(name))

    def reset(self, path: str) -> bool:
        """See `base.Workbench`.

        Raises:
            PlaygroundError: it is no copy, or cannot be written.
        """
        name = self.part(path)
        if name is None or self.is_shipped(path):
            raise PlaygroundError("this is not a copy of a probe of linnix-ls")
        shipped, text = self._shipped_text(name), _read(Path(path))
        if text == shipped:
            return False
        try:
            if text is not None:
                _write(Path(f"{path}~"), text)
            _write(Path(path), shipped)
            Path(self._base(path)).parent.mkdir(exist_ok=True)
            _write(Path(self._base(path)), shipped)
        except OSError as error:
            raise PlaygroundError(f"it cannot be reset: {error}") from error
        return True

    def _base(self, path: str) -> str:
        where = Path(path)
        return str(where.parent / _BASE / where.name)

    def _shipped_text(self, name: str) -> str:
        return (self._shipped / name).read_text("utf-8")


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(path: Path) -> str | None:
    """With the line ends of an editor elsewhere made ours; None where there is no such file."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    """All or nothing, and to a file of that very name: where a link is, it is replaced."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
