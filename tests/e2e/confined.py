"""Becomes the agent under what deploy/systemd/linnix-ls-agent.service lets it do, where no systemd
runs: capabilities, no new privileges, limits, umask, the filters of system calls and of kinds of
sockets and namespaces. What they are is read from the unit, and groups of calls from systemd.
"""

import ctypes
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import seccomp

from linnix_ls import capabilities

UNIT = Path(__file__).parents[2] / "deploy/systemd/linnix-ls-agent.service"
_CAPBSET_DROP = 24
_NAMESPACES = 0x7E020080  # all of clone(2)'s CLONE_NEW…


def settings(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def expanded(words):
    """Names of calls; of a group those that systemd says are in it."""
    for word in words:
        if not word.startswith("@"):
            yield word
            continue
        told = subprocess.run(
            ["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True
        )
        inside = [line.strip() for line in told.stdout.splitlines()[1:]]
        yield from expanded(name for name in inside if name and name[0] != "#" and name != word)


def allowed_calls():
    """In the order of the unit: a line that begins with a tilde takes away."""
    allowed = set(expanded(["@default"]))
    for line in settings("SystemCallFilter"):
        calls = set(expanded(line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def confine():
    [kept] = settings("CapabilityBoundingSet")
    numbers = {name: number for number, name in enumerate(_names())}
    for name, number in numbers.items():
        if name not in kept.split():
            ctypes.CDLL(None).prctl(_CAPBSET_DROP, number, 0, 0, 0)
    capabilities.keep(sum(1 << numbers[name] for name in kept.split()))
    assert settings("LimitCORE") == ["0"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(int(settings("UMask")[0], 8))
    [errno_name] = settings("SystemCallErrorNumber")
    assert errno_name == "EPERM"
    refused = seccomp.ERRNO(1)
    rules = seccomp.SyscallFilter(defaction=refused)  # which takes new privileges, too
    families = [getattr(socket, name) for name in settings("RestrictAddressFamilies")[0].split()]
    for call in allowed_calls():
        try:
            if call == "socket":
                for family in families:
                    rules.add_rule(seccomp.ALLOW, call, seccomp.Arg(0, seccomp.EQ, int(family)))
            elif call in ("unshare", "clone"):
                rules.add_rule(
                    seccomp.ALLOW, call, seccomp.Arg(0, seccomp.MASKED_EQ, _NAMESPACES, 0)
                )
            elif call != "setns":
                rules.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, ValueError, OSError):
            pass  # a call that this machine's libseccomp, or architecture, does not know
    rules.load()


def _names():
    """Of capabilities, in the order of their numbers."""
    words = """
        chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
        net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio
        sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time
        sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog
        wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
    """
    return [f"CAP_{word.upper()}" for word in words.split()]


if __name__ == "__main__":
    confine()
    os.execv(sys.executable, [sys.executable, "-m", "linnix_ls.cli.main", *sys.argv[1:]])
