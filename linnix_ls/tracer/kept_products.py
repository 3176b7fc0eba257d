"""Compiled probes, kept for the next start.

Compiling takes most of a second, and comes to the same as long as nothing has changed of what it
depends on. That is all in the name of the file (`_key`: source, flags, kernel, headers,
environment, our own code) or noted within it (the compiler's files, which are known only when it
has run). What is kept is believed only if it lies in a folder and in a file that nobody else can
write, is whole, and belongs to exactly this key; if anything is amiss the probes are compiled, and
that is kept instead. The kernel's verifier judges both alike.

Only for the short-lived child of `bcc_worker`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer.bpf_source import bpf_dir, probe_source
from linnix_ls.tracer.product import Product

FOLDER = "compiled-probes"
MAX_KEPT = 8
_MAX_BYTES = 4 << 20
_UNFINISHED_FOR_S = 3600.0
# What clang, BCC, the loader of libraries and Python heed.
_ENVIRONMENT = re.compile(r"LD_|BCC_|PYTHON|LLVM|CLANG|CPATH$|C_INCLUDE_PATH$|ARCH$|GCC_")
# Whose text decides what is made of the same input.
_OWN_MODULES = tuple(
    f"{name}.py"
    for name in ("bcc_compiler", "kept_products", "kernel_headers", "needed_types", "product")
)

Identity = list[Any]


def shipped(cache_dir: str, ring_pages: int, *, may_be_kept: bool) -> Product:
    """The probes that we ship, compiled; kept ones where `may_be_kept` and there are some.

    Raises:
        TracerUnavailable: they cannot be made.
        Exception: the compiler's own.
    """
    source = probe_source()
    flags = [f"-I{bpf_dir()}", f"-DRING_PAGES={ring_pages}", "-Wno-everything"]
    key = _key(source, flags)
    folder = Path(cache_dir, FOLDER)
    if may_be_kept and (found := read(folder, key)):
        return found
    product, files = _made(Path(cache_dir), source, flags)
    # What cannot be kept is made anew at the next start.
    with contextlib.suppress(OSError):
        keep(folder, key, product, files)
    return product


def _made(cache_dir: Path, source: str, flags: list[str]) -> tuple[Product, list[Path]]:
    """With the files that it was made by, beside the source."""
    from linnix_ls.tracer import bcc_compiler, kernel_headers

    headers = kernel_headers.installed_headers()
    if headers is None:
        try:
            headers = kernel_headers.headers_from_btf(cache_dir)
        except OSError as error:
            raise TracerUnavailable(
                f"the probes cannot be made: {error}",
                fix=f"see that {cache_dir} can be written",
                cause="load_failed",
            ) from error
        os.environ["BCC_KERNEL_SOURCE"] = str(headers)
    bcc = bcc_compiler.import_bcc()
    with _fewer_types(headers, source) as fewer:
        try:
            product = bcc_compiler.compiled(bcc, source, [*flags, *fewer])
        except Exception:  # libbcc raises nothing else
            if not fewer:
                raise
            product = bcc_compiler.compiled(bcc, source, flags)
    files = {Path(line.split(maxsplit=5)[-1]) for line in _mapped() if ".so" in line}
    binding = [module for name, module in sys.modules.items() if name.split(".")[0] == "bcc"]
    files |= {Path(module.__file__) for module in binding if module.__file__}
    files |= set((headers / "include/linux").glob("linnix_*.h"))
    return product, sorted(files)


@contextlib.contextmanager
def _fewer_types(headers: Path, source: str) -> Iterator[list[str]]:
    """Flags by which the header tree declares only what the source needs: BCC reads all of it
    three times over, and that would be most of what compiling takes."""
    from linnix_ls.tracer import needed_types

    whole = headers / "include/linux/linnix_btf.h"
    if not whole.is_file():  # a package's headers
        yield []
        return
    texts = [source, *(path.read_text() for path in bpf_dir().glob("*.h"))]
    types = needed_types.needed_once(whole.read_text(), needed_types.words_of(texts))
    with open(os.memfd_create("linnix-types"), "w", encoding="utf-8") as file:
        file.write(types)
        file.flush()
        yield [f'-DLINNIX_TYPES="/proc/self/fd/{file.fileno()}"']


def _mapped() -> list[str]:
    return Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()


# -- what a product depends on -------------------------------------------------------------------


def _key(source: str, flags: list[str]) -> str:
    """Changes with anything that can be known before the compiler runs."""
    folder = os.path.dirname(__file__)
    spec = PathFinder.find_spec("bcc")
    facts = [
        source,
        flags,
        [[path.name, path.read_text()] for path in sorted(bpf_dir().glob("*.h"))],
        [Path(folder, name).read_text() for name in _OWN_MODULES],
        list(os.uname()[2:]),
        _kernel(),
        os.sysconf("SC_PAGE_SIZE"),
        _text("/sys/devices/system/cpu/possible"),
        sorted((k, v) for k, v in os.environ.items() if _ENVIRONMENT.match(k)),
        sys.path,
        spec.origin if spec else None,
        _identity("/etc/ld.so.cache"),
        list(_installed_headers()),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _kernel() -> str:
    """Which build it is, and with it which types it has."""
    with contextlib.suppress(OSError):
        notes = Path("/sys/kernel/notes").read_bytes()
        if b"GNU\0" in notes:  # its build id, a hash of all of it
            return notes.hex()
    with contextlib.suppress(OSError):
        return hashlib.sha256(Path("/sys/kernel/btf/vmlinux").read_bytes()).hexdigest()
    return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _installed_headers() -> Iterator[Identity]:
    """Of a package's headers for this kernel, every file."""
    build = f"/lib/modules/{os.uname().release}/build"
    if not os.path.isdir(build):
        return
    for top in (build, f"{build}/source"):
        for part in ("include", f"arch/{_architecture()}/include"):
            for at, folders, names in os.walk(os.path.join(top, part)):
                folders.sort()
                yield from (_identity(os.path.join(at, name)) for name in sorted(names))


def _architecture() -> str:
    """As the kernel's source calls it."""
    return {"x86_64": "x86", "aarch64": "arm64"}.get(os.uname().machine, "*")


def _identity(path: str) -> Identity:
    """Another one when the file is another, or another is in its place."""
    try:
        status = os.stat(path)
    except OSError:
        return [path]
    return [path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


# -- keeping ------------------------------------------------------------------------------------


def read(folder: Path, key: str) -> Product | None:
    """What was kept under that key, if it can be believed."""
    try:
        with _opened(folder) as folder_fd:
            fd = os.open(
                key, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder_fd
            )
            with open(fd, "rb") as file:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode) or not _is_ours_alone(status):
                    return None
                content = file.read(_MAX_BYTES)
        digest, _, text = content.partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return None
        told = json.loads(text)
        if told["key"] != key or any(_identity(each[0]) != each for each in told["files"]):
            return None
        return Product.decoded(told["product"])._replace(is_kept=True)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def keep(folder: Path, key: str, product: Product, files: Iterable[Path]) -> None:
    """In place of what was kept under that key. Who reads meanwhile gets the one or the other.

    Raises:
        OSError: it cannot be kept.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    told = {
        "key": key,
        "files": [_identity(str(path)) for path in files],
        "product": json.loads(product.encoded()),
    }
    text = json.dumps(told).encode()
    content = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
    with _opened(folder) as folder_fd:
        unfinished = f".{key}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(unfinished, flags, 0o600, dir_fd=folder_fd), "wb") as file:
                file.write(content)
            os.replace(unfinished, key, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(unfinished, dir_fd=folder_fd)
            raise
        _forget_old_ones(folder_fd, key)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder, if nobody else can put anything there; what is done by this stays there."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not _is_ours_alone(os.fstat(fd)):
            raise PermissionError(f"{folder} is open to others")
        yield fd
    finally:
        os.close(fd)


def _is_ours_alone(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _forget_old_ones(folder_fd: int, key: str) -> None:
    def changed_s(name: str) -> float:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mtime

    with contextlib.suppress(OSError):
        names = sorted(os.listdir(folder_fd), key=changed_s, reverse=True)
        left_s = time.time() - _UNFINISHED_FOR_S
        whole = [name for name in names if not name.startswith(".") and name != key]
        left = [name for name in names if name.startswith(".") and changed_s(name) < left_s]
        for name in whole[MAX_KEPT - 1 :] + left:
            os.unlink(name, dir_fd=folder_fd)
