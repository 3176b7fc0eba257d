"""The models of this user: which are installed, and which one is in use.

They lie in ``$XDG_DATA_HOME/linnix-ls/models``, beside an index. A file that the user named by its
path stays where it is. Not here: where models come from (`sources`), what runs them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.models.base import InstalledModel
from linnix_ls.models.gguf import Header, read_header

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
MODEL_VARIABLE = "LINNIX_MODEL"
_SEE_LIST = "`linnix-ls model list` names those there are"

_STALE_AFTER_S = 86_400

FileState = Literal["as_installed", "changed", "gone"]


class Entry(BaseModel):
    """A model, and the time of its file's last change when it was installed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: InstalledModel
    mtime_ns: int


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_name: Literal["linnix-models/1"] = "linnix-models/1"
    in_use: str | None = None
    entries: tuple[Entry, ...] = ()

    def without(self, name: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.model.name != name)


def folder() -> Path:
    """Where models lie; made, and for this user alone.

    Raises:
        LinnixError: what is there could have been put there by somebody else.
    """
    path = _path()
    for part in (path.parent, path):
        try:
            with contextlib.suppress(FileExistsError):
                part.mkdir(mode=0o700, parents=True)
            status = part.lstat()
        except OSError as error:
            raise LinnixError(
                f"cannot make {part}: {error.strerror}", fix="set XDG_DATA_HOME to another place"
            ) from error
        is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
        if not is_private or status.st_uid != os.geteuid():
            raise LinnixError(
                f"{part} is not a folder that only you can write to",
                fix=f"make it one, or set XDG_DATA_HOME to another place: chmod go-w {part}",
            )
    path.chmod(0o700)
    return path


def installed() -> tuple[InstalledModel, ...]:
    """All of them, in the order of their names.

    Raises:
        LinnixError: the index cannot be read.
    """
    return tuple(entry.model for entry in _read().entries)


def in_use() -> InstalledModel | None:
    """The one that was chosen: by LINNIX_MODEL (a name or path, or ``none``), else by `use`.

    Raises:
        LinnixError: the index cannot be read, or LINNIX_MODEL names none.
    """
    wanted = os.environ.get(MODEL_VARIABLE)
    if wanted:
        return None if wanted == "none" else find(wanted)
    index = _read()
    return next((e.model for e in index.entries if e.model.name == index.in_use), None)


def find(name_or_path: str) -> InstalledModel:
    """The model of that name, of the only name that begins so, or the file at that path.

    Of a file that is not installed, `sha256` stays empty.

    Raises:
        LinnixError: there is none; it names the nearest thing to do.
    """
    models = installed()
    exact = [model for model in models if name_or_path in (model.name, model.path)]
    beginning = exact or [model for model in models if model.name.startswith(name_or_path)]
    if len(beginning) == 1:
        return beginning[0]
    if len(beginning) > 1:
        names = ", ".join(model.name for model in beginning)
        raise UsageError(f"{name_or_path} may be any of {names}", fix="say more of the name")
    if "/" in name_or_path or name_or_path.endswith(".gguf"):
        # To compute it would take seconds a gigabyte, each time a server starts.
        return model_at(Path(name_or_path), sha256="")
    raise UsageError(f"no model is called {name_or_path}", fix=_SEE_LIST)


def model_at(path: Path, *, sha256: str | None = None, name: str | None = None) -> InstalledModel:
    """What the file at that path is.

    Args:
        sha256: if it is known; else it is computed.
        name: default the file's.

    Raises:
        LinnixError: it is no usable model, or cannot be read.
    """
    path = Path(os.path.abspath(path.expanduser()))
    try:
        if not path.is_file():
            raise UsageError(f"there is no file {path}", fix="give the path of a .gguf file")
        header: Header = read_header(path)
        return InstalledModel(
            name=name or name_of(path.stem),
            path=str(path),
            size_bytes=path.stat().st_size,
            sha256=sha256_of(path) if sha256 is None else sha256,
            architecture=header.architecture,
            is_instruct=header.has_chat_template,
            licence=header.licence,
            source=str(path),
            n_parameters=header.n_parameters,
        )
    except OSError as error:
        raise LinnixError(f"cannot read {path}: {error.strerror}") from error


def name_of(text: str) -> str:
    """A name made of that: short, lower case, safe as a file's."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:80] or "model"


def add(model: InstalledModel, *, content: Path | None = None) -> InstalledModel:
    """Install it. The same again from the same source takes the place of what was there.

    Args:
        content: a file in `scratch` that becomes the model's; without it the model stays at its
            own path.

    Returns:
        The model as it is installed.

    Raises:
        UsageError: another has its name.
    """
    with _locked() as index:
        before = next((e.model for e in index.entries if e.model.name == model.name), None)
        if before is not None and before.source != model.source:
            raise UsageError(
                f"a model called {model.name} is installed already, from {before.source}",
                fix="--name OTHER, or first: linnix-ls model remove " + model.name,
            )
        if content is not None:
            target = folder() / f"{model.name}.gguf"
            content.chmod(0o600)
            content.replace(target)
            model = replace(model, path=str(target))
        entry = Entry(model=model, mtime_ns=os.stat(model.path).st_mtime_ns)
        entries = sorted([*index.without(model.name), entry], key=lambda entry: entry.model.name)
        _write(index.model_copy(update={"entries": tuple(entries)}))
    return model


def use(name_or_path: str) -> InstalledModel:
    """Choose it. A file that is not installed is installed where it lies.

    Raises:
        LinnixError: there is none such, its file is gone, or it is one that cannot answer.
    """
    model = find(name_or_path)
    if not model.is_instruct:
        raise UsageError(
            f"{model.name} is a base model: it goes on with a text, but was never taught to answer"
            " (its file has no chat template), so it cannot explain anything",
            fix="take a model with “instruct” or “it” in its name; " + _SEE_LIST,
        )
    if not Path(model.path).is_file():
        raise LinnixError(
            f"the file of {model.name} is gone: {model.path}",
            fix=f"linnix-ls model install {model.source}",
        )
    if model not in installed():
        model = add(model_at(Path(model.path)))
    with _locked() as index:
        _write(index.model_copy(update={"in_use": model.name}))
    return model


def remove(name: str) -> InstalledModel:
    """Forget it, and delete its file if it lies in `folder`.

    Raises:
        UsageError: no model has exactly this name.
    """
    with _locked() as index:
        model = next((e.model for e in index.entries if e.model.name == name), None)
        if model is None:
            raise UsageError(f"no model is called {name}", fix=_SEE_LIST)
        changes: dict[str, object] = {"entries": index.without(name)}
        if index.in_use == name:
            changes["in_use"] = None
        _write(index.model_copy(update=changes))
        if is_ours(model):
            Path(model.path).unlink(missing_ok=True)
    return model


def is_ours(model: InstalledModel) -> bool:
    """Whether its file was put into `folder` by us."""
    return Path(model.path).parent == _path()


def file_state(model: InstalledModel, *, verify: bool = False) -> FileState:
    """Whether the file is what was installed: by size and time, or by its content."""
    entry = next((entry for entry in _read().entries if entry.model == model), None)
    try:
        status = os.stat(model.path)
        if not stat.S_ISREG(status.st_mode):
            return "gone"
        is_same = status.st_size == model.size_bytes
        if verify and model.sha256:
            is_same = is_same and sha256_of(Path(model.path)) == model.sha256
        elif entry is not None:
            is_same = is_same and status.st_mtime_ns == entry.mtime_ns
    except OSError:
        return "gone"
    return "as_installed" if is_same else "changed"


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is being made, on the same disk; it goes in the end."""
    for left in folder().glob(".new-*"):  # by a process that was killed
        if time.time() - left.lstat().st_mtime > _STALE_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=".new-", dir=folder()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _path() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(os.path.abspath(data_home), "linnix-ls", "models")


def _read() -> _Index:
    path = _path() / "index.json"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            if os.fstat(descriptor).st_uid != os.geteuid():
                raise LinnixError(f"{path} belongs to another user", fix=f"chown it, or: rm {path}")
            return _Index.model_validate_json(file.read())
    except FileNotFoundError:
        return _Index()
    except OSError as error:
        raise LinnixError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError:
        raise LinnixError(
            f"{path} is damaged",
            fix=f"mv {path} {path}.damaged, and install your models again",
        ) from None


@contextlib.contextmanager
def _locked() -> Iterator[_Index]:
    """The index, which nobody else changes meanwhile."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(folder() / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _read()
        finally:
            os.close(descriptor)
    except OSError as error:  # also of what is done with it
        raise LinnixError(f"cannot change {_path()}: {error.strerror}") from error


def _write(index: _Index) -> None:
    with tempfile.NamedTemporaryFile(dir=folder(), prefix=".index-", delete=False) as file:
        file.write(index.model_dump_json(indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder() / "index.json")
