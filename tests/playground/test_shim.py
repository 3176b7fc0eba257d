"""clang, and clangd where it is installed, read probe source with our header as it is meant."""

import re
import shutil
import subprocess

import pytest

from linnix_ls.errors import PlaygroundError
from linnix_ls.lsp import clangd
from linnix_ls.playground import shim
from linnix_ls.playground.base import CLANGD_MARK
from linnix_ls.playground.dialect import Dialect, dialect_of
from linnix_ls.tracer.bpf_source import PROBE_FILES, bpf_dir
from tests.playground.machine import an_author

BCC = """\
struct seen { u64 since; char comm[16]; };
BPF_HASH(started, u32, struct seen, 1024);
BPF_HASH(short_one);
BPF_ARRAY(totals, u64, 4);
BPF_HISTOGRAM(sizes);
BPF_STACK_TRACE(stacks, 1024);
BPF_PERF_OUTPUT(out);
BPF_RINGBUF_OUTPUT(events, 8);
BPF_TABLE("lru_hash", u32, u64, recent, 64);
BPF_QUEUE(waiting, u64, 10);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    struct seen now = { .since = bpf_ktime_get_ns() }, *before = started.lookup(&pid);
    int id = stacks.get_stackid(args, BPF_F_USER_STACK);

    TP_DATA_LOC_READ_CONST(now.comm, filename, sizeof(now.comm));
    if (before && before->since && id >= 0)
        totals.increment(1);
    sizes.increment(bpf_log2l(args->pid));
    started.update(&pid, &now);
    out.perf_submit(args, &now, sizeof(now));
    events.ringbuf_output(&now, sizeof(now), 0);
    waiting.push(&now.since, 0);
    bpf_trace_printk("pid %d\\n", args->old_pid);
    return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_fork)
{
    struct task_struct *child = (struct task_struct *)ctx->args[1];

    return child->real_parent->tgid;
}
"""
LIBBPF = """\
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tp/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx)
{
    return ctx->pid;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="session")
def shimmed(tmp_path_factory):
    return shim.write_header(tmp_path_factory.mktemp("cache"))


def compile_with(flags, source, *more):
    done = subprocess.run(
        ["clang", "-fsyntax-only", "-Werror", *flags, *more, "-"],
        input=source, text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done.stderr


@pytest.mark.ebpf
class TestHeader:
    def test_correct_source_has_no_error_and_no_warning(self, shimmed):
        _, bcc, libbpf = shimmed
        assert compile_with(bcc, BCC) == ""
        assert compile_with(libbpf, LIBBPF) == ""

    def test_the_products_own_probes_have_none(self, shimmed):
        _, bcc, _ = shimmed
        for name in PROBE_FILES[1:]:
            source = (bpf_dir() / name).read_text()
            assert compile_with(bcc, source, *shim.PRODUCT_FLAGS) == "", name

    def test_mistakes_are_still_mistakes(self, shimmed):
        _, bcc, _ = shimmed
        said = compile_with(bcc, BCC.replace("args->pid", "args->pit"))
        assert "no member named 'pit' in 'struct tracepoint__sched__sched_process_exec'" in said
        assert "lookop" in compile_with(bcc, BCC.replace("started.lookup", "started.lookop"))
        assert "too few arguments" in compile_with(
            bcc, BCC.replace("update(&pid, &now)", "update(&pid)")
        )

    def test_has_the_texts_of_helpers(self, shimmed):
        path, _, _ = shimmed
        assert "/** Copy the comm attribute" in path.read_text()


def test_a_field_of_an_unknown_type_is_one_of_the_same_size():
    author = an_author()
    text = shim.header(author.points, author.helpers, None)
    record = re.search(r"struct tracepoint__sched__sched_process_exec \{(.*?)\}", text, re.DOTALL)
    assert "int data_loc_filename;" in record[1]
    assert "s32 pid;" in record[1]
    assert "char parent_comm[16];" in text


def test_hostile_names_do_not_get_into_the_header():
    author = an_author()
    author.points._names["sched"].append("x;system(1)")
    assert "x;system" not in shim.header(author.points, author.helpers, None)


@pytest.mark.ebpf
class TestConfiguration:
    def test_is_written_for_both_dialects(self, tmp_path):
        folder = tmp_path / "probes"
        (folder / "it's").mkdir(parents=True)
        (folder / "a.bpf.c").write_text(BCC)
        (folder / "it's" / "b.bpf.c").write_text(LIBBPF)
        path = shim.configure(folder, tmp_path / "cache")
        text = path.read_text()
        assert text.startswith(CLANGD_MARK)
        assert text.count("PathMatch") == 3
        assert r"it''s/b\.bpf\.c" in text
        assert clangd.is_attached("auto", str(folder / "it's" / "b.bpf.c"))
        before = path.stat().st_ino
        shim.configure(folder, tmp_path / "cache")
        assert path.stat().st_ino == before  # the same again is not written again

    def test_of_somebody_else_is_left_alone(self, tmp_path):
        (tmp_path / ".clangd").write_text("CompileFlags: {Add: [-Wall]}\n")
        with pytest.raises(PlaygroundError, match="not made by linnix-ls"):
            shim.configure(tmp_path, tmp_path / "cache")
        assert not clangd.is_attached("auto", str(tmp_path / "a.bpf.c"))

    @pytest.mark.e2e
    @pytest.mark.parametrize("source", [BCC, LIBBPF], ids=["bcc", "libbpf"])
    def test_clangd_has_nothing_to_say_of_correct_source(self, tmp_path, source):
        program = shutil.which("clangd") or shutil.which("clangd-14")
        assert program, "apt-get install clangd-14"
        probe = tmp_path / "a.bpf.c"
        probe.write_text(source)
        shim.configure(tmp_path, tmp_path / "cache")
        done = subprocess.run(
            [program, f"--check={probe}", "--check-lines=1-1"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert "All checks completed, 0 errors" in done.stderr, done.stderr[-2000:]


def test_the_setting_decides_about_clangd(tmp_path):
    path = str(tmp_path / "a.bpf.c")
    assert clangd.is_attached("on", path)
    assert not clangd.is_attached("off", path)
    assert not clangd.is_attached("auto", path)
    (tmp_path / ".clangd").write_text(f"{CLANGD_MARK}\n")
    assert clangd.is_attached("auto", path)
    assert clangd.is_attached("auto", str(tmp_path / "below" / "a.bpf.c"))


def test_the_samples_are_of_the_dialects_that_they_are_for():
    assert dialect_of(BCC) is Dialect.BCC
    assert dialect_of(LIBBPF) is Dialect.LIBBPF
