"""The headers BCC compiles against, made from the running kernel's own BTF.

Kernel header packages are absent on many machines, and borrowed ones of another version give
wrong offsets. The kernel describes its own types in ``/sys/kernel/btf/vmlinux``; this module
writes them out as a small tree that BCC accepts through ``BCC_KERNEL_SOURCE``. Real headers
that match the running kernel are used instead where they are installed.

Not here: compiling (`bcc_worker`).
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from linnix_ls.errors import TracerUnavailable
from linnix_ls.private import why_not_private
from linnix_ls.tracer.helper_ids import HELPERS

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
#ifndef LINNIX_TYPES
#define LINNIX_TYPES "linux/linnix_btf.h"
#endif
#include LINNIX_TYPES
{newer_helpers}
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
    "asm/page.h": "#ifndef PAGE_SIZE\n#define PAGE_SIZE {page_size}\n"
    "#define PAGE_SHIFT (__builtin_ctzl(PAGE_SIZE))\n#endif\n",
    "uapi/linux/bpf.h": "",
    "uapi/linux/bpf_perf_event.h": "",
    "uapi/linux/if_packet.h": "",
}

# What probes include of the kernel's own: the types are there already, and BTF has no macros.
_MACROS = "linux/linnix_macros.h"
_NO_HEADERS = """
    linux/binfmts.h linux/bio.h linux/blk-mq.h linux/blk_types.h linux/blkdev.h linux/bpf.h
    linux/bpf_perf_event.h linux/cgroup-defs.h linux/cgroup.h linux/compiler.h linux/cred.h
    linux/dcache.h linux/err.h linux/errno.h linux/fcntl.h linux/fdtable.h linux/file.h
    linux/fs.h linux/fs_struct.h linux/genhd.h linux/gfp.h linux/if.h linux/if_ether.h
    linux/in.h linux/in6.h linux/interrupt.h linux/ip.h linux/ipv6.h linux/irq.h linux/jiffies.h
    linux/kdev_t.h linux/kernel.h linux/ktime.h linux/limits.h linux/list.h linux/mm.h
    linux/mm_types.h linux/mount.h linux/mutex.h linux/net.h linux/netdevice.h linux/ns_common.h
    linux/nsproxy.h linux/oom.h linux/path.h linux/pid.h linux/pid_namespace.h linux/ptrace.h
    linux/rbtree.h linux/sched.h linux/sched/mm.h linux/sched/signal.h linux/sched/task.h
    linux/signal.h linux/skbuff.h linux/slab.h linux/socket.h linux/stat.h linux/string.h
    linux/swap.h linux/tcp.h linux/time.h linux/time64.h linux/timekeeping.h linux/tty.h
    linux/types.h linux/udp.h linux/unistd.h linux/utsname.h linux/workqueue.h net/inet_sock.h
    net/net_namespace.h net/sock.h net/tcp.h net/tcp_states.h uapi/linux/errno.h
    uapi/linux/fcntl.h uapi/linux/in.h uapi/linux/limits.h uapi/linux/ptrace.h
    uapi/linux/sched.h uapi/linux/stat.h uapi/linux/types.h
""".split()
_NUMBERS = {
    "NAME_MAX": "255",
    "PATH_MAX": "4096",
    "IFNAMSIZ": "16",
    "AF_UNIX": "1",
    "AF_INET": "2",
    "AF_INET6": "10",
    "MINORBITS": "20",
    "MINORMASK": "((1U << MINORBITS) - 1)",
    "MAJOR(dev)": "((unsigned int)((dev) >> MINORBITS))",
    "MINOR(dev)": "((unsigned int)((dev) & MINORMASK))",
    "PF_KTHREAD": "0x00200000",
    "NSEC_PER_USEC": "1000L",
    "NSEC_PER_MSEC": "1000000L",
    "NSEC_PER_SEC": "1000000000L",
    "TASK_RUNNING": "0x0000",
    "TASK_INTERRUPTIBLE": "0x0001",
    "TASK_UNINTERRUPTIBLE": "0x0002",
    "S_IFMT": "0170000",
    "S_IFSOCK": "0140000",
    "S_IFLNK": "0120000",
    "S_IFREG": "0100000",
    "S_IFBLK": "0060000",
    "S_IFDIR": "0040000",
    "S_IFCHR": "0020000",
    "S_IFIFO": "0010000",
    "S_ISREG(mode)": "(((mode) & S_IFMT) == S_IFREG)",
    "S_ISDIR(mode)": "(((mode) & S_IFMT) == S_IFDIR)",
    "O_RDONLY": "00000000",
    "O_WRONLY": "00000001",
    "O_RDWR": "00000002",
    "O_ACCMODE": "00000003",
    "MAX_ERRNO": "4095",
    "IS_ERR(pointer)": "((unsigned long)(pointer) >= (unsigned long)-MAX_ERRNO)",
    "ARRAY_SIZE(array)": "(sizeof(array) / sizeof((array)[0]))",
    "BIT(n)": "(1UL << (n))",
    "likely(condition)": "__builtin_expect(!!(condition), 1)",
    "unlikely(condition)": "__builtin_expect(!!(condition), 0)",
    "READ_ONCE(place)": "(*(const volatile typeof(place) *)&(place))",
    "min(a, b)": "((a) < (b) ? (a) : (b))",
    "max(a, b)": "((a) > (b) ? (a) : (b))",
    "min_t(type, a, b)": "((type)(a) < (type)(b) ? (type)(a) : (type)(b))",
    "max_t(type, a, b)": "((type)(a) > (type)(b) ? (type)(a) : (type)(b))",
    "container_of(pointer, type, member)": "((type *)((char *)(pointer) - offsetof(type, member)))",
}
# errno.h and signal.h, asm-generic's: the same on the machines that we know.
_NUMBERS |= {
    name: str(number)
    for number, name in errno.errorcode.items()
    if name.startswith("E") and number < 134
} | {each.name: str(each.value) for each in signal.Signals if each.value < 32}


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
        status = btf_path.stat()
        digest = _digest(btf_path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise TracerUnavailable(
            f"this kernel does not describe its types ({btf_path}: {error.strerror})",
            fix="use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's and Ubuntu's are)",
            cause="no_btf",
        ) from error
    own_digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if reason := why_not_private(cache_dir):  # else anybody's headers would be compiled
        raise TracerUnavailable(
            f"{reason}; not used as a cache", fix=f"rm -r {cache_dir}", cause="cache"
        )
    tree = cache_dir / f"kernel-headers-{digest}-{own_digest}"
    if tree.is_dir():
        return tree

    declarations = _dump_btf(btf_path)
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


@functools.lru_cache(maxsize=4)
def _digest(btf_path: Path, _changed_ns: int, _n_bytes: int) -> str:
    """Of a file as it was then; read once, since this takes a while."""
    return hashlib.sha256(btf_path.read_bytes()).hexdigest()[:16]


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
    for name in _NO_HEADERS:
        path = include / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#include <{_MACROS}>\n")
    (include / _MACROS).write_text(
        "#pragma once\n#include <asm/page.h>\n"
        + "".join(
            f"#ifndef {what.partition('(')[0]}\n#define {what} {value}\n#endif\n"
            for what, value in _NUMBERS.items()
        )
    )
    # Not vmlinux.h: the compiler also looks in the current directory.
    (include / "linux" / "linnix_btf.h").write_text(declarations)
    (include / "linux" / "kconfig.h").write_text(
        _KCONFIG_H.format(guards=guards, newer_helpers=_newer_helpers(declarations))
    )


def _newer_helpers(declarations: str) -> str:
    """The numbers of helper functions that BCC's headers mention and an older kernel does not
    know. A probe that calls one is refused by its verifier, and by no compiler."""
    known = frozenset(re.findall(r"\bBPF_FUNC_(\w+)", declarations))
    newer = [
        f"BPF_FUNC_{name} = {number}" for number, name in enumerate(HELPERS, 1) if name not in known
    ]
    return f"enum linnix_newer_helpers {{ {', '.join(newer)} }};" if newer else ""
