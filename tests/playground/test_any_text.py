"""Whatever a kernel or a compiler prints, and whatever stands in a document: it is read, nothing
raises, and what is shown is within the document."""

import random

import pytest

from linnix_ls.playground import clang_output, own_names, policy, targets
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.dialect import dialect_of, numbered, without_comments
from linnix_ls.playground.verifier.log import read_log
from linnix_ls.playground.verifier.refusal import Refusal, explain
from linnix_ls.tracer import needed_types
from tests.playground.test_verifier_log import NEW
from tests.playground.test_verifier_log import SOURCE as SAMPLE

PIECES = [
    *"{}()[];,\"'\\#\n\r\t /*-&=0<",
    *("//", "/*", "*/", "#define X", "#line 9", "struct s", "TRACEPOINT_PROBE(sched, x)", "\u2028"),
    *("BPF_HASH(m, u32);", "m.lookup(&k)", 'SEC("tp/sched/x")', "int f(void *ctx)", "return 0;"),
    *("for (;;)", "bpf_ringbuf_submit(e, 0)", "\udcff", "ü", "\N{PILE OF POO}", "enum e { A, B }"),
    *("R1 invalid mem access 'scalar'", "7: (85) call bpf_map_lookup_elem#1 ; R0=scalar(umax=3)"),
    *("Unreleased reference id=2 alloc_insn=99999999999", "from 1 to 2: R1=", "At program exit"),
    *("Verification failed: a: b", "Reason:", "At:", "f @ x.bpf.c:99999:3", "Causal path:"),
    *("x.bpf.c:1:1: error: no", "x.bpf.c:99:999: warning: w [-Wx]", "x.bpf.c:0:0: note: n"),
    *("/virtual/main.c:3:2: fatal error: f", "Error at line 12: Cannot select: sdiv", "; a @ b:1"),
    *(
        "LLVM ERROR: x.bpf.c:5:5: bad",
        "In file included from x.bpf.c:4:",
        "Disassembly of function f",
    ),
    *("invalid access to map value, value_size=1 off=-2 size=3", "Validating f() func#1..."),
    *(
        "A call to built-in function 'f' is not supported",
        "R3 type=fp expected=map_ptr, ",
    ),
]
SEEDS = range(60)


def any_text(seed):
    dice = random.Random(seed)
    pieces = [dice.choice(PIECES) for _ in range(dice.randrange(60))]
    return dice.choice(["", " ", "\n"]).join(pieces)


def assert_within(problem, text):
    n_lines = len(text.split("\n"))
    for span in (problem.span, *(each.span for each in problem.related)):
        assert 1 <= span.line <= n_lines
        assert span.column is None or span.column >= 1
        assert span.end_column is None or span.end_column >= (span.column or 1)


def damaged(text, seed):
    dice = random.Random(seed)
    for _ in range(dice.randrange(1, 8)):
        at = dice.randrange(len(text))
        text = text[:at] + dice.choice(PIECES) + text[at + dice.randrange(30) :]
    return text


@pytest.mark.parametrize("seed", SEEDS)
def test_any_log_of_any_source_is_explained_within_the_source(seed):
    text = any_text(seed)
    logs = [any_text(seed + 1000), damaged(NEW, seed), "\n".join([any_text(seed + 2000), NEW])]
    for source in (CSource(text), SAMPLE):
        name = next((each.name for each in source.functions), "f")
        for log in logs:
            for is_bcc in (True, False):
                lines = {0: 1, 6: len(source.lines)}
                problem = explain(Refusal(source, "x.bpf.c", name, "no", log, lines, is_bcc=is_bcc))
                assert_within(problem, source.text)
                assert problem.message


@pytest.mark.parametrize("seed", SEEDS)
def test_anything_that_compilers_print_is_shown_within_the_source(seed):
    text = any_text(seed)
    for is_bcc in (True, False):
        for problem in clang_output.problems(
            any_text(seed + 1000), CSource(text), "x.bpf.c", is_bcc=is_bcc
        ):
            assert_within(problem, text)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_text_is_read_as_source(seed):
    text = any_text(seed)
    source = CSource(text)
    assert len(without_comments(text)) == len(text)
    assert without_comments(text).count("\n") == text.count("\n")
    assert numbered(text).count("#line") >= 1
    dialect_of(text)
    assert all(1 <= line <= len(source.lines) for line in source.maps.values())
    for function in source.functions:
        assert 1 <= function.head.line <= len(source.lines)
        source.last_return(function)
    for line in range(-1, len(source.lines) + 2):
        source.function_at(line)
        source.loop_around(line)
        source.whole(line)
    for problem in [
        *policy.source_problems(source),
        *targets.problems(source, targets.this_kernel()),
    ]:
        assert_within(problem, text)
    read_log(text)
    own_names.renamed(text, text)
    needed_types.index_of(text).needed(text, needed_types.words_of([text]))
