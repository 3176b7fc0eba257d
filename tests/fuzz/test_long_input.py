"""Inputs that are read in no time by what looks at each character once, and would take hours if it
looked at each from every other: what is too slow here is ended by pytest's timeout.

In most of these Python holds its lock: a user's file could stop an agent for all users.
"""

from dataclasses import replace

import pytest

from linnix_ls import sources
from linnix_ls.core.detectors.languages import language_of
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate import debug_paths, java, make, native, perl, spawn
from linnix_ls.locate.runners import cpp, javascript, npm
from linnix_ls.locate.runners import java as junit
from linnix_ls.locate.runners.base import Process, blocks_around
from linnix_ls.locate.runners.perl import _SUBTEST
from linnix_ls.locate.source import PythonSource
from linnix_ls.locate.syntax import syntax_of
from linnix_ls.playground import clang_output, own_names, policy
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.dialect import dialect_of, numbered, without_comments
from linnix_ls.playground.probe_text import probe_text
from linnix_ls.playground.verifier.log import read_log
from tests.report.samples import SPIN

N = 400_000


def told_of(text, *output):
    """What a compiler said of a function with that in it."""
    source = CSource(f"int f(void)\n{{\n{text}\n}}\n")
    return clang_output.problems("\n".join(output), source, "x.bpf.c", is_bcc=False)


def run_by_npm(script):
    facts = ProcessFacts(ProcessKey(1, 1), ("sh",), None, None)
    return npm.NpmRunner().find(Process(facts, {"npm_lifecycle_event": script}), ())


def run_by(program):
    return language_of(replace(SPIN, location=None, process=replace(SPIN.process, argv=(program,))))


READERS = {
    "jvm thread": lambda text: list(java._parse(text)),
    "jvm deadlock": lambda text: java._deadlock(f"Java-level deadlock\n{text}"),
    "addr2line": lambda text: native._parse_addr2line(f"0x1\nf\n{text}"),
    "native name": native.short_name,
    "junit": junit._test_method,
    "rust name": debug_paths._own_name,
    "gtest": cpp._TEST_BODY.search,
    "javascript": lambda text: javascript._CALL.match(text[: javascript.MAX_CALL_CHARS]),
    "npm": run_by_npm,
    "program": run_by,
    "python": lambda text: PythonSource(sources.parse_python(text)).is_fed(2),
    "subtest": lambda text: blocks_around(text.splitlines(), 1, _SUBTEST),
    "perl": lambda text: perl._function_at(text.splitlines(), len(text.splitlines())),
    "make": lambda text: make._rule_of(text.splitlines(), ["all"]),
    "verifier": read_log,
    "clang": lambda text: clang_output.problems(text, CSource(""), "x.bpf.c", is_bcc=False),
    "large local": lambda text: told_of(text, "x.bpf.c:2:1: error: Stack limit exceeded"),
    "no constant length": lambda text: told_of(text, "LLVM ERROR: dynamic stack allocation"),
    "built-in": lambda text: told_of(
        text, "x.bpf.c:2:1: error: A call to built-in function 'memset' is not supported"
    ),
    "comments": without_comments,
    "dialect": dialect_of,
    "numbered": numbered,
    "policy": lambda text: policy.source_problems(CSource(text)),
    "probe": probe_text,
    "histogram": lambda text: CSource(f"BPF_HASH(x);\n{text}").is_histogram("x"),
    "own names": lambda text: own_names.renamed(text, text),
}

HOSTILE = [
    ("jvm thread", '"a', '" cpu=1ms nid=', ""),
    ("jvm thread", '"a" ', "cpu=1ms ", ""),
    ("jvm thread", '"a" cpu=1ms nid=1 x\n\tat ', "a/", "("),
    ("jvm deadlock", "", '"a":\n  waiting \n', ""),
    ("addr2line", "", ":1 (discriminator 1", "x"),
    ("native name", "", " [clone a", ""),
    ("native name", "", "operator<", ")"),
    ("junit", "", "@a(", ""),
    ("junit", "@a(", "()", ""),
    ("rust name", "", "{", ""),
    ("rust name", "", "<a", ""),
    ("gtest", "", "::a_Test<a", "!"),
    ("gtest", "", "_Test", ""),
    ("javascript", "a.describe.", "a.describe.a", ""),
    ("npm", "", "a-tests-", "\n"),
    ("program", "python", "1", "a"),
    ("python", "def f():\n for ", "_", "z in x:\n  x.f()"),
    ("histogram", "", "x.increment(", ""),
    ("histogram", "", "x.increment(;", "x.increment(bpf_log2("),
    ("probe", "struct ", " ", ""),
    ("subtest", "subtest", " ", "x"),
    ("perl", "", "sub a {\n", ""),
    ("make", "", "a:\n", ""),
    ("verifier", "0: (aa) a", " ", "x"),
    ("verifier", "", "0: (aa) a", "\n"),
    ("verifier", "; a", " @ a:", "x"),
    ("verifier", "0: (aa) ", " exit a", ";"),
    ("verifier", "0: (aa) ", "goto pc+1 a", ";"),
    ("verifier", "Verification failed: a: b\nAt: ", "a", ""),
    ("verifier", "Verification failed: a: b\nAt: ", "a @ ", ""),
    ("verifier", "0: (aa) r0; R0=(", "a(b)", ""),
    ("clang", "x.bpf.c:1:1: error: (unnamed", " at ", ""),
    ("clang", "x.bpf.c:1:1: error: (unnamed at ", ":1:1", ""),
    ("clang", "x.bpf.c:1:1: error: ", "(unnamed", ""),
    ("clang", "x.bpf.c:1:1: error: ", " [-Wa", ""),
    ("clang", "LLVM ERROR: ", "a:1", ""),
    ("clang", "LLVM ERROR: ", "Cannot select:", ""),
    ("clang", "LLVM ERROR: ", "A call to built-in function '", ""),
    ("clang", "error: a:1:1: in function a ", "): ", "\r"),
    ("large local", " a b[", " ", ""),
    ("large local", " a b[", "1", ""),
    ("large local", " ", "const ", ""),
    ("large local", " ", "a ", ""),
    ("no constant length", "a b[", " ", ""),
    ("no constant length", "a b[", "a", ""),
    ("no constant length", "a b[", "a ", "]"),
    ("no constant length", "", "a ", ""),
    ("built-in", "memset(", ",sizeof", ""),
    ("built-in", "", "memset", ""),
    ("comments", "", '"\\', ""),
    ("comments", "", "/*/", ""),
    ("numbered", "", "{}", ""),
    ("numbered", "", "}", ""),
    ("probe", "", '"\\', ""),
]


@pytest.mark.parametrize(
    ("reader", "before", "again", "after"),
    HOSTILE,
    ids=[f"{each[0]} {number}" for number, each in enumerate(HOSTILE)],
)
def test_text_is_read_in_proportion_to_its_length(reader, before, again, after):
    READERS[reader](before + again * (N // len(again)) + after)


@pytest.mark.parametrize(
    ("name", "again"),
    [("a.js", "_"), ("a.js", "A1."), ("a.c", "a:"), ("a.sh", ")"), ("a.java", "a<"),
     ("a.js", "f("), ("a.rs", '"'), ("a.js", '"'), ("a.sh", "{"), ("a.java", "a<\n"),
     ("a.c", "if (")],
)  # fmt: skip
def test_a_source_that_is_made_to_be_slow_is_given_up(tmp_path, monkeypatch, name, again):
    monkeypatch.setattr(sources, "MAX_PARSING_S", 0.1)
    path = tmp_path / name
    path.write_text(again * (N // len(again)))
    list(spawn._sites(str(path), ["worker"]))
    if source := syntax_of(str(path)):
        source.calls(1, 9), source.loops_around(1), source.functions(1, 9)
