"""What is read of a probe's text before any compiler sees it, and of what compilers print."""

import pytest

from linnix_ls.playground import clang_output, own_names
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.dialect import Dialect, dialect_of, numbered, without_comments
from linnix_ls.tracer import needed_types

DUMP = """\
typedef unsigned int __u32;

typedef __u32 u32;

struct list_head {
\tstruct list_head *next;
};

struct deep {
\tu32 depth;
};

struct mm_struct {
\tstruct deep deep;
\tstruct never *never;
};

struct never {
\tu32 never_read;
};

typedef int work_fn(struct never *);

enum state {
\tIDLE = 0,
\tBUSY = 1,
};

struct event {
\tstruct list_head list;
\tenum state state;
};

struct task_struct {
\tstruct mm_struct *mm;
\tstruct event *event;
\twork_fn *work;
};
"""


def needed(source):
    words = needed_types.words_of([source])
    needed = needed_types.index_of(DUMP).needed(DUMP, words)
    assert needed_types.needed_once(DUMP, words) == needed
    return needed


def test_what_is_behind_a_pointer_that_the_source_does_not_follow_is_only_named():
    types = needed("struct task_struct *t; t->mm->deep.depth;")
    assert "struct deep {" in types
    assert "struct mm_struct {" in types
    assert "struct never {" not in types
    assert "struct never;" in types
    assert "typedef int work_fn(struct never *);" in types


def test_what_a_type_contains_comes_before_it():
    types = needed("struct event e;")
    assert types.index("enum state {") < types.index("struct event {")
    assert "struct task_struct {" not in types


def test_a_constant_brings_its_enum_along():
    assert "enum state {" in needed("x == BUSY")


def test_the_kernels_types_make_way_for_those_of_the_source():
    types = own_names.renamed(DUMP, "struct event { u32 pid; };\nenum { IDLE, RUNS };")
    assert "struct event___of_the_kernel {" in types
    assert "struct event___of_the_kernel *event;" in types
    assert "\tIDLE___of_the_kernel = 0," in types


@pytest.mark.parametrize(
    "source",
    [
        "struct other { u32 pid; };",
        "int f(void) { struct event e; e.state = BUSY; return BUSY; }",
        "static int first = IDLE;\nu32 other[BUSY] = { IDLE };",
    ],
)
def test_what_a_source_uses_keeps_its_name(source):
    assert own_names.renamed(DUMP, source) is None


def test_the_dialect_is_told_by_code_and_not_by_comments():
    assert dialect_of('// SEC("tp")\nBPF_HASH(a, u32);') is Dialect.BCC
    assert dialect_of('/* */ int x SEC ("license");') is Dialect.LIBBPF
    assert dialect_of("#include <bpf/bpf_helpers.h>\n") is Dialect.LIBBPF


def test_comments_and_strings_are_blanked_in_place():
    text = "a /* } */ \"{\" b // {\n'}' c"
    blank = without_comments(text)
    assert len(blank) == len(text)
    assert "{" not in blank
    assert "}" not in blank
    assert blank.count("\n") == 1


def test_line_directives_stand_at_each_brace_of_the_top_level():
    text = "int f()\n{\n  if (1) { }\n}\nint g;\n"
    directives = [line for line in numbered(text).split("\n") if line.startswith("#line")]
    assert [line.split()[1] for line in directives] == ["1", "2", "4"]


def test_functions_of_both_dialects_have_the_loaders_names():
    source = CSource(
        "TRACEPOINT_PROBE (sched,\n  sched_switch)\n{\n  return 0;\n}\n"
        'SEC("tp_btf/x")\nint BPF_PROG(named, int a)\n{\n  return 0;\n}\n'
        "static inline int\nhelper (int a)\n{\n  return a;\n}\n"
    )
    names = [each.name for each in source.functions]
    assert names == ["tracepoint__sched__sched_switch", "named", "helper"]
    assert source.function("named").attached_at.line == 6
    assert source.function_at(4).name == "tracepoint__sched__sched_switch"


def test_a_note_in_the_kernels_types_becomes_advice():
    [problem] = clang_output.problems(
        "x.bpf.c:2:8: error: redefinition of 'stat'\n"
        "/some/where/vmlinux.h:5:8: note: previous definition is here\n1 error generated.\n",
        CSource("#include <vmlinux.h>\nstruct stat { int a; };\n"),
        "x.bpf.c",
        is_bcc=False,
    )
    assert (problem.span.line, problem.span.column) == (2, 8)
    assert "give yours another name" in problem.message


def test_a_missing_builtin_is_shown_where_it_is_called():
    [problem] = clang_output.problems(
        "x.bpf.c:1:5: error: A call to built-in function 'memcpy' is not supported.\n",
        CSource(
            "int f(void)\n{\n  __builtin_memcpy(a, b, 8);\n  memcpy(a, b, n);\n  return 0;\n}\n"
        ),
        "x.bpf.c",
        is_bcc=False,
    )
    assert problem.span.line == 4
