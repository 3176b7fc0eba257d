"""The headers that probe source is compiled against, made from the running kernel."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import kernel_headers, needed_types
from linnix_ls.tracer.bpf_source import bpf_dir


def header_folders(cache: Path) -> tuple[str, tuple[str, ...]]:
    """(BCC's header tree, folders to include from: vmlinux.h, with an index of its types, and our
    own headers).

    Raises:
        TracerUnavailable: no BTF, no bpftool, or the cache cannot be written.
    """
    tree = kernel_headers.headers_from_btf(cache)
    folder = tree.with_name(tree.name.replace("kernel-headers", "vmlinux"))
    if not (folder / "vmlinux.h").is_file():
        _write_vmlinux(folder)
    if not needed_types.index_place(folder).is_file():
        declarations = (tree / "include/linux/linnix_btf.h").read_text()
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write(needed_types.index_of(declarations).as_json())
        _publish(file.name, needed_types.index_place(folder))
    return str(tree), (str(folder), str(bpf_dir()))


def _write_vmlinux(folder: Path) -> None:
    """As libbpf's users expect it: `bpftool btf dump … format c`, unchanged."""
    bpftool = kernel_headers.find_bpftool()
    if bpftool is None:
        raise TracerUnavailable(
            "bpftool is not installed", fix="apt-get install bpftool", cause="no_bpftool"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        subprocess.run(
            [bpftool, "btf", "dump", "file", str(kernel_headers.BTF_PATH), "format", "c"],
            stdout=file,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
    _publish(file.name, folder / "vmlinux.h")


def _publish(written: str, place: Path) -> None:
    os.chmod(written, 0o644)
    os.replace(written, place)
