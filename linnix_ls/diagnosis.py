"""What works on this machine and what does not: the facts behind `linnix-ls doctor`.

Each check tries the thing itself. Not here: how it is shown (`cli`).
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from linnix_ls import installation, procfs
from linnix_ls.config import Settings, cache_dir, default_socket_path, system_socket_path
from linnix_ls.errors import AgentError, TracerUnavailable
from linnix_ls.feed.access import access_of
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.invocation import as_root, enable_tracing
from linnix_ls.locate.python import py_spy_path
from linnix_ls.privilege import has_bpf_permission
from linnix_ls.tracer import kernel_headers, tracefs
from linnix_ls.tracer.bcc import BccTracer

IMPORT_TIMEOUT_S = 20
_REINSTALL_BCC = "apt-get install --reinstall python3-bpfcc"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        is_required: without it findings get worse; else it is good to know.
        fix: the command, or what to do; None when it is well.
    """

    name: str
    is_ok: bool
    is_required: bool
    detail: str
    fix: str | None = None


async def diagnose(settings: Settings) -> tuple[Check, ...]:
    """Try everything; takes a second or two, most of it loading the probes."""
    agent, is_served = await _agent(settings)
    # What an agent serves us with, we need not be able to do ourselves.
    bcc = await _bcc(not is_served)
    checks = [_kernel(), _btf(not is_served), _bpftool(not is_served), bcc, _tracefs()]
    checks += [agent, _service(), _permission(is_served, agent.fix)]
    if bcc.is_ok and has_bpf_permission():
        checks.append(await _probes())
    checks += [_py_spy(), _ptrace(agent.is_ok), _addr2line(), _schedstat()]
    return tuple(checks)


def _kernel() -> Check:
    is_linux = sys.platform == "linux"
    detail = f"{platform.release()} {platform.machine()}"
    return Check("kernel", is_linux, True, detail, None if is_linux else "only Linux has eBPF")


def _btf(is_required: bool) -> Check:
    headers = kernel_headers.installed_headers()
    if headers is not None:
        return Check("kernel types", True, is_required, f"headers of this kernel at {headers}")
    is_there = kernel_headers.BTF_PATH.exists()
    return Check(
        "kernel types",
        is_there,
        is_required,
        f"BTF at {kernel_headers.BTF_PATH}" if is_there else "neither BTF nor kernel headers",
        None
        if is_there
        else "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or install"
        f" linux-headers-{platform.release()}",
    )


def _bpftool(is_required: bool) -> Check:
    found = kernel_headers.find_bpftool()
    needed = kernel_headers.installed_headers() is None
    return Check(
        "bpftool",
        found is not None or not needed,
        needed and is_required,
        found or ("not installed" if needed else "not installed, and not needed here"),
        None if found or not needed else "apt-get install bpftool   (Ubuntu: linux-tools-generic)",
    )


async def _bcc(is_required: bool) -> Check:
    """In a process of its own: importing libbcc maps 100 MB of LLVM, and may not come back."""
    code = (
        "from linnix_ls.tracer.bcc_compiler import import_bcc\n"
        "from linnix_ls.errors import TracerUnavailable\n"
        "try:\n bcc = import_bcc(); print('ok', getattr(bcc, '__version__', '?'), bcc.__file__)\n"
        "except TracerUnavailable as e:\n print('no', e.message, e.fix, sep='\\n')\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *(["-I"] if sys.flags.isolated else []), "-c", code),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), IMPORT_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Check("BCC", False, is_required, "importing it hangs", _REINSTALL_BCC)
    lines = out.decode(errors="replace").splitlines() or ["importing it ends the program"]
    if "no" in lines[:-2]:
        detail, fix = lines[-2:]
        return Check("BCC", False, is_required, detail, fix)
    if lines[-1].startswith("ok "):
        return Check("BCC", True, is_required, lines[-1].removeprefix("ok "))
    return Check("BCC", False, is_required, lines[-1], _REINSTALL_BCC)


def _tracefs() -> Check:
    is_there = tracefs.is_mounted()
    return Check(
        "tracefs",
        is_there,
        False,
        "mounted"
        if is_there
        else "not mounted; only your own probes on classic tracepoints need it",
        None if is_there else f"mount -t tracefs tracefs {tracefs.TRACEFS_PATH}",
    )


async def _agent(settings: Settings) -> tuple[Check, bool]:
    """The check, and whether one serves us now."""
    paths = [default_socket_path(), system_socket_path()]
    if settings.agent_socket:
        paths = [Path(settings.agent_socket)]
    reasons = []
    fix: str | None = None
    for path in dict.fromkeys(paths):
        try:
            feed = await RemoteFeed.connect(path)
            try:
                status = await feed.status()
            finally:
                await feed.close()
        except AgentError as error:
            reasons.append(error.message)
            fix = fix or error.fix
            continue
        detail = f"serving at {path}, tracer {status.tracer}"
        if status.hint:
            detail += f"; {status.hint}"
        return Check("agent", True, False, detail), True
    may_start = has_bpf_permission()
    detail = "none running; one is started when needed" if may_start else "; ".join(reasons)
    fix = None if may_start else fix or enable_tracing()
    return Check("agent", may_start, not may_start, detail, fix), False


def _service() -> Check:
    """The agent as a service of the machine, and whether it is for us."""
    path = system_socket_path()
    access = access_of(path)
    if access is not None:
        for_us = "you may use it" if access.problem is None else access.problem
        return Check(
            "service",
            access.problem is None,
            False,
            f"{path} is for the group {access.group}; {for_us}",
            access.fix,
        )
    if not installation.is_systemd_here():
        return Check(
            "service",
            False,
            False,
            "there is no systemd here that would start an agent",
            f"{as_root('agent')}   (in another terminal)",
        )
    if installation.is_unit_installed():
        detail, fix = "installed, but not enabled", f"sudo {installation.ENABLE}"
    else:
        detail, fix = "not installed", as_root("agent", "--install")
    return Check("service", False, False, detail, fix)


def _permission(is_served: bool, fix: str | None) -> Check:
    if has_bpf_permission():
        return Check("permission", True, True, "may load eBPF programs and sample")
    if is_served:
        return Check("permission", True, False, "none needed: the agent has it")
    return Check(
        "permission",
        False,
        True,
        "loading eBPF programs needs CAP_BPF and CAP_PERFMON, and no agent has them for us",
        fix,
    )


async def _probes() -> Check:
    tracer = BccTracer(cache_dir(), may_be_kept=False)  # compilers may have broken since
    try:
        await tracer.start(lambda _events: None, lambda _reason: None)
    except TracerUnavailable as error:
        fix = error.fix or "until that is found out: linnix-ls run --tracer psutil"
        return Check("probes", False, True, error.message, fix)
    await tracer.stop()
    return Check("probes", True, True, "compiled, accepted by the kernel's verifier, attached")


def _py_spy() -> Check:
    found = py_spy_path()
    return Check(
        "py-spy",
        found is not None,
        True,
        found or "not installed: no lines in Python programs",
        None if found else "pip install py-spy",
    )


def _ptrace(agent_is_ok: bool) -> Check:
    scope = procfs.read_ptrace_scope()
    is_ok = agent_is_ok or scope == 0
    return Check(
        "stack reading",
        is_ok,
        True,
        "permitted" if is_ok else f"restricted to root (kernel.yama.ptrace_scope = {scope})",
        None if is_ok else enable_tracing(),
    )


def _addr2line() -> Check:
    found = shutil.which("addr2line")
    return Check(
        "addr2line",
        found is not None,
        True,
        found or "not installed: no lines in native programs",
        None if found else "apt-get install binutils",
    )


def _schedstat() -> Check:
    raw = procfs.read_bytes("/proc/self/schedstat", 256)
    is_there = bool(raw) and raw != b"0 0 0\n"
    return Check(
        "run queue times",
        is_there,
        False,
        "kept by this kernel"
        if is_there
        else "not kept by this kernel: a spinner on a loaded machine is found later",
        None if is_there else "a kernel with CONFIG_SCHED_INFO=y",
    )
