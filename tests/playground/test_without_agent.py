"""What a language server without an agent says, as a user who may ask the kernel nothing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.ebpf

# Each source of a list on stdin is checked, and what is said of each goes to stdout.
ASK = """
import asyncio, json, sys
from pathlib import Path
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.service import LocalPlayground

async def check_all():
    playground = LocalPlayground(Path(sys.argv[1]), is_privileged=False)
    for name, source in enumerate(json.load(sys.stdin)):
        checked = await playground.check(dialect_of(source), str(name), source)
        print(json.dumps([(each.code, each.span.line, each.message) for each in checked.problems]))
    await playground.close()

asyncio.run(check_all())
"""
BCC = """\
struct event { u32 pid; char comm[16]; };
BPF_HASH(counts, u32, u64);
RAW_TRACEPOINT_PROBE(sched_process_exec)
{
    struct task_struct *task = (struct task_struct *)ctx->args[0];
    u32 pid = task->tgid;
    u64 *count = counts.lookup(&pid);
    %s
    return 0;
}
"""
LIBBPF = """\
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sched_process_exec") int on_exec(void *ctx) { %s }
char LICENSE[] SEC("license") = "GPL";
"""
SOURCES = {
    "right": BCC % "if (count) ++*count;",
    "the verifier's business": BCC % "++*count;",
    "no C": BCC % "count = ;",
    "dangerous": BCC % "if (count) bpf_send_signal(9);",
    "right in libbpf": LIBBPF % "return 0;",
    "dangerous by number": LIBBPF % "return ((long (*)(u32))109)(9);",
    "no C in libbpf": LIBBPF % "return none;",
}


@pytest.fixture(scope="module")
def said():
    folder = Path(tempfile.mkdtemp(prefix="linnix-nobody-"))
    os.chown(folder, 65534, 65534)
    try:
        asked = subprocess.run(
            [
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
                *("--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", ASK, folder),
            ],
            input=json.dumps(list(SOURCES.values())),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd="/",
        )
    finally:
        shutil.rmtree(folder)
    return dict(zip(SOURCES, map(json.loads, asked.stdout.splitlines()), strict=True))


def test_what_compiles_is_not_complained_about(said):
    assert said["right"] == []
    assert said["right in libbpf"] == []


def test_what_only_the_verifier_knows_is_not_guessed(said):
    assert said["the verifier's business"] == []


def test_the_compilers_errors_are_at_their_lines(said):
    [(code, line, _)] = said["no C"]
    assert (code, line) == ("clang", 8)
    [(code, line, _)] = said["no C in libbpf"]
    assert (code, line) == ("clang", 3)


def test_policy_holds_without_an_agent_too(said):
    [(code, line, _)] = said["dangerous"]
    assert (code, line) == ("policy/helper", 8)
    [(code, line, _)] = said["dangerous by number"]
    assert (code, line) == ("policy/helper", 3)
