"""The headers BCC compiles against, made from the running kernel's own BTF.

Kernel header packages are absent on many machines, and borrowed ones of another version give
wrong offsets. The kernel describes its own types in ``/sys/kernel/btf/vmlinux``; this module
writes them out as a small tree that BCC accepts through ``BCC_KERNEL_SOURCE``. Real headers
that match the running kernel are used instead where they are installed.

Not here: compiling (`bcc_worker`).
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from linnix_ls.errors import TracerUnavailable

BTF_PATH = Path("/sys/kernel/btf/vmlinux")

# The include guards of BCC's own bundled UAPI bpf.h, under the names that its releases gave it
# (BCC's source, src/cc/compat/linux/virtual_bpf.h): defined, that file is skipped, because the
# BTF dump declares the same types.
_BUNDLED_BPF_H_GUARDS = ("__LINUX_BPF_H__", "_UAPI__LINUX_BPF_H__")

_KCONFIG_H = """\
#ifndef LINNIX_KCONFIG_H
#define LINNIX_KCONFIG_H
{guards}
#define CONFIG_BPF_SYSCALL 1
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __user
#define __user
#endif
#include <linux/linnix_btf.h>
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
/* Macros that BTF cannot carry and that probes use (include/uapi/linux/bpf.h). */
#define BPF_F_USER_STACK_FLAG 256
#endif
"""

_SMALL_HEADERS = {
    "linux/version.h": "#define LINUX_VERSION_CODE {version_code}\n"
    "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n",
    "linux/log2.h": "#define roundup_pow_of_two(n) \\\n"
    "    (1ULL << (64 - __builtin_clzll((unsigned long long)(n) - 1)))\n",
    "asm/page.h": "#define PAGE_SIZE {page_size}\n",
    "uapi/linux/bpf.h": "",
    "uapi/linux/bpf_perf_event.h": "",
    "uapi/linux/if_packet.h": "",
    "uapi/linux/ptrace.h": "",
    "linux/types.h": "",
    "linux/sched.h": "",
    "linux/ptrace.h": "",
    "linux/bpf_perf_event.h": "",
}


def installed_headers(release: str | None = None) -> Path | None:
    """The header tree of the running kernel where a package has installed it, else None."""
    build = Path("/lib/modules", release or platform.release(), "build")
    return build if (build / "include" / "linux" / "kconfig.h").is_file() else None


def headers_from_btf(cache_dir: Path, btf_path: Path = BTF_PATH) -> Path:
    """Return a header tree for the kernel that `btf_path` describes, made at first use.

    The tree is kept under `cache_dir`, named after the content of the BTF, so another kernel
    gets another tree. Takes 0.2 s the first time.

    Raises:
        TracerUnavailable: no BTF, no bpftool, or bpftool cannot read it.
    """
    try:
        digest = hashlib.sha256(btf_path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise TracerUnavailable(
            f"this kernel does not describe its types ({btf_path}: {error.strerror})",
            fix="use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's and Ubuntu's are)",
            cause="no_btf",
        ) from error
    own_digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    tree = cache_dir / f"kernel-headers-{digest}-{own_digest}"
    if tree.is_dir():
        return tree

    declarations = _dump_btf(btf_path)
    cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
    try:
        _write_tree(building, declarations)
        try:
            building.rename(tree)
        except OSError:
            if not tree.is_dir():  # else: another process has just made the same tree
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return tree


def find_bpftool() -> str | None:
    """Debian installs it in /usr/sbin, which is not on every user's PATH. On Ubuntu what is there
    is a wrapper that fails without the tools of the very kernel that runs; any version will do.
    """
    packaged = sorted(Path("/usr/lib/linux-tools").glob("*/bpftool"), reverse=True)
    if packaged:
        return str(packaged[0])
    return shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin:/usr/local/sbin")


def _dump_btf(btf_path: Path) -> str:
    bpftool = find_bpftool()
    if bpftool is None:
        raise TracerUnavailable(
            "bpftool is not installed", fix="apt-get install bpftool", cause="no_bpftool"
        )
    try:
        dump = subprocess.run(
            [bpftool, "btf", "dump", "file", str(btf_path), "format", "c"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TracerUnavailable(
            f"bpftool does not work: {error}",
            fix="apt-get install --reinstall bpftool",
            cause="no_bpftool",
        ) from error
    if dump.returncode != 0 or "struct task_struct {" not in dump.stdout:
        raise TracerUnavailable(
            f"bpftool cannot read {btf_path}: {dump.stderr.strip()[-300:] or 'no types in it'}",
            fix="install a bpftool that is as new as the kernel",
            cause="no_btf",
        )
    return _adapt_to_bcc(dump.stdout)


def _adapt_to_bcc(declarations: str) -> str:
    """Make a BTF dump safe for BCC's way of compiling.

    - BCC computes offsets at compile time: the pragmas that ask for relocatable accesses, which
      libbpf's loader would resolve, go.
    - BCC parses for the host and generates code for BPF. Runs of unnamed ``long: 64`` padding
      become one wide integer (i448), which the two align differently (BPF's data layout says
      i128:128), so that every member behind one was read 16 bytes off: ``mm->arg_start`` gave
      env_start. As arrays of long they mean the same to both.
    """
    declarations = re.sub(r"(?m)^#pragma clang attribute .*$", "", declarations)
    n_runs = 0

    def as_array(run: re.Match[str]) -> str:
        nonlocal n_runs
        n_runs += 1
        return f"{run[1]}long linnix_pad_{n_runs}[{run[0].count('long: 64;')}];\n"

    return re.sub(r"(?m)^([ \t]*)long: 64;\n(?:[ \t]*long: 64;\n)*", as_array, declarations)


def _write_tree(root: Path, declarations: str) -> None:
    major, minor, patch = [*re.findall(r"\d+", platform.release()), "0", "0", "0"][:3]
    facts = {
        "version_code": (int(major) << 16) + (int(minor) << 8) + min(int(patch), 255),
        "page_size": os.sysconf("SC_PAGE_SIZE"),
    }
    guards = "\n".join(f"#define {guard}" for guard in _BUNDLED_BPF_H_GUARDS)
    include = root / "include"
    for name, text in _SMALL_HEADERS.items():
        path = include / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**facts))
    # Not vmlinux.h: the compiler also looks in the current directory.
    (include / "linux" / "linnix_btf.h").write_text(declarations)
    (include / "linux" / "kconfig.h").write_text(_KCONFIG_H.format(guards=guards))
