"""The header tree that BCC gets: made once for a kernel, and refused with a reason."""

import concurrent.futures
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import kernel_headers
from linnix_ls.tracer.helper_ids import HELPERS
from linnix_ls.tracer.kernel_headers import (
    BTF_PATH,
    find_bpftool,
    headers_from_btf,
    installed_headers,
)

DUMP = """\
#ifndef __VMLINUX_H__
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
struct task_struct {
	int a;
	long: 64;
	long: 64;
	long: 64;
	int b;
	long: 64;
};
#pragma clang attribute pop
#endif
"""


def a_bpftool(folder, *, prints=DUMP, code=0):
    """A bpftool that answers so, whatever it is asked."""
    (folder / "dump").write_text(prints)
    tool = folder / "bpftool"
    tool.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\ncat {folder}/dump\nexit {code}\n")
    tool.chmod(0o755)
    return str(tool)


@pytest.fixture
def btf(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(b"what the kernel says of itself")
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def bpftool(tmp_path, monkeypatch):
    tool = a_bpftool(tmp_path)
    monkeypatch.setattr(kernel_headers, "find_bpftool", lambda: tool)
    return tmp_path


def n_asked(folder):
    return len((folder / "asked").read_text().splitlines())


def types(tree):
    return (tree / "include/linux/linnix_btf.h").read_text()


# -- what is in it -------------------------------------------------------------------------------


def test_runs_of_unnamed_padding_become_arrays(btf, cache, bpftool):
    text = types(headers_from_btf(cache, btf))
    assert "long: 64;" not in text
    assert text.count("linnix_pad_") == 2
    assert re.search(
        r"int a;\n\tlong linnix_pad_1\[3\];\n\tint b;\n\tlong linnix_pad_2\[1\];", text
    )


def test_offsets_are_not_asked_to_be_relocated(btf, cache, bpftool):
    assert "preserve_access_index" not in types(headers_from_btf(cache, btf))


def test_all_that_bcc_includes_is_there(btf, cache, bpftool):
    include = headers_from_btf(cache, btf) / "include"
    kconfig = (include / "linux/kconfig.h").read_text()
    for included in re.findall(r"#include <(.*)>", kconfig):
        assert (include / included).is_file()
    assert "CONFIG_BPF_SYSCALL" in kconfig
    version = (include / "linux/version.h").read_text()
    major, minor = platform.release().split(".")[:2]
    code = int(re.search(r"LINUX_VERSION_CODE (\d+)", version)[1])
    assert (code >> 16, code >> 8 & 0xFF) == (int(major), int(minor))
    for name in ("uapi/linux/bpf.h", "linux/sched.h", "linux/ptrace.h", "asm/page.h"):
        assert (include / name).is_file()


@pytest.mark.ebpf
def test_the_types_of_this_very_kernel_compile(tmp_path):
    text = types(headers_from_btf(tmp_path))
    assert "struct task_struct {" in text
    assert not re.search(r"long: 64;", text)
    (tmp_path / "x.c").write_text(
        f'#include "{headers_from_btf(tmp_path)}/include/linux/linnix_btf.h"\n'
        "unsigned long size = sizeof(struct task_struct);\n"
    )
    subprocess.run(["cc", "-fsyntax-only", "-w", tmp_path / "x.c"], check=True)


# -- made once -----------------------------------------------------------------------------------


def test_it_is_made_once_for_a_kernel(btf, cache, bpftool):
    first = headers_from_btf(cache, btf)
    assert headers_from_btf(cache, btf) == first
    assert n_asked(bpftool) == 1


def test_another_kernel_gets_another_tree(btf, cache, bpftool):
    first = headers_from_btf(cache, btf)
    btf.write_bytes(b"another one")
    assert headers_from_btf(cache, btf) != first
    assert first.is_dir()


def test_two_who_make_it_at_once_get_the_same_and_leave_nothing(btf, cache, bpftool):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: headers_from_btf(cache, btf), range(16)))
    assert len(set(trees)) == 1
    assert list(cache.iterdir()) == [trees[0]]
    assert types(trees[0])


def test_nobody_else_may_read_or_change_the_cache(btf, cache, bpftool):
    headers_from_btf(cache, btf)
    assert cache.stat().st_mode & 0o777 == 0o700


# -- why not -------------------------------------------------------------------------------------


def refusal(cache, btf):
    with pytest.raises(TracerUnavailable) as caught:
        headers_from_btf(cache, btf)
    assert caught.value.fix
    assert not cache.exists() or list(cache.iterdir()) == []
    return caught.value.cause


def test_a_kernel_without_btf(cache, bpftool):
    assert refusal(cache, Path("/sys/kernel/btf/there-is-none")) == "no_btf"


def test_a_btf_that_must_not_be_read(cache, tmp_path, bpftool):
    assert refusal(cache, tmp_path) == "no_btf"  # a folder is as good as forbidden, for root too


def test_no_bpftool(btf, cache, monkeypatch):
    monkeypatch.setattr(kernel_headers, "find_bpftool", lambda: None)
    assert refusal(cache, btf) == "no_bpftool"


@pytest.mark.parametrize(
    "answer",
    [{"prints": "", "code": 255}, {"prints": ""}, {"prints": "struct other { };\n"}, {"code": 1}],
)
def test_a_bpftool_that_cannot_read_it(btf, cache, tmp_path, monkeypatch, answer):
    tool = a_bpftool(tmp_path, **answer)
    monkeypatch.setattr(kernel_headers, "find_bpftool", lambda: tool)
    assert refusal(cache, btf) == "no_btf"


def test_a_bpftool_that_does_not_run(btf, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_headers, "find_bpftool", lambda: str(tmp_path / "gone"))
    assert refusal(cache, btf) == "no_bpftool"


def test_bpftool_is_found_where_debian_puts_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = kernel_headers.find_bpftool()
    assert found is None or found.startswith("/usr/")


def test_installed_headers_are_those_of_the_running_kernel_only():
    assert installed_headers("0.0.0-none") is None
    found = installed_headers()
    assert found is None or platform.release() in str(found)


# -- kernels that know less than BCC ---------------------------------------------------------------


def test_helper_functions_that_the_kernel_does_not_know_have_their_number(btf, cache, bpftool):
    known = ",\n".join(
        f"\tBPF_FUNC_{name} = {number}" for number, name in enumerate(HELPERS[:-1], 1)
    )
    a_bpftool(bpftool, prints=f"{DUMP}enum bpf_func_id {{\n{known},\n}};\n")
    kconfig = (headers_from_btf(cache, btf) / "include/linux/kconfig.h").read_text()
    assert "enum linnix_newer_helpers { BPF_FUNC_cgrp_storage_delete = 211 };" in kconfig


@pytest.mark.ebpf
def test_the_kernel_numbers_helper_functions_as_the_list_does(tmp_path):
    tree = headers_from_btf(tmp_path)
    found = re.findall(r"\tBPF_FUNC_(\w+) = (\d+)", types(tree))
    numbers = {name: number for number, name in enumerate(HELPERS, 1)}
    assert {
        name: int(number) for name, number in found if name != "unspec"
    }.items() <= numbers.items()


@pytest.mark.ebpf
def test_bcc_compiles_for_a_kernel_that_knows_fewer_helper_functions(btf, cache, bpftool):
    dump = subprocess.run(
        [find_bpftool(), "btf", "dump", "file", str(BTF_PATH), "format", "c"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    older = re.sub(r"\tBPF_FUNC_(timer_init|cgrp_storage_\w+) = \d+,\n", "", dump)
    a_bpftool(bpftool, prints=older)
    tree = headers_from_btf(cache, btf)
    subprocess.run(
        [sys.executable, "-c", "from bcc import BPF; BPF(text='BPF_HASH(counts);')"],
        env={**os.environ, "BCC_KERNEL_SOURCE": str(tree)},
        check=True,
    )
