"""Fixes by rules: small, true to what the user wrote, and accepted by the verifier before anyone
sees one."""

import asyncio
import re
from pathlib import Path

import pytest

from linnix_ls.config import cache_dir
from linnix_ls.core.findings import Edit, Patch
from linnix_ls.fixes.text import apply
from linnix_ls.playground import remedies
from linnix_ls.playground.base import Checked, Problem, ProgramReport, Severity, Span
from linnix_ls.playground.documents import Documents
from linnix_ls.playground.mending import edits_between, facts, fixes, is_mended, with_edits
from linnix_ls.playground.remedies import proposals
from linnix_ls.playground.service import LocalPlayground
from tests.playground.checking import check_alone, errors, in_background

PROGRAMS = Path(__file__).parent / "programs"

# What becomes of these: the title, and a line that is there afterwards.
MENDED = {
    "bcc-null-relookup": ("Check `n` for NULL first", "        if (!n)"),
    "bcc-null-inverted": (
        "Turn the check around: leave where `when` is NULL",
        "    if (!when)",
    ),
    "bcc-leak-early": (
        "Give `e` back before the return",
        "        events.ringbuf_discard(e, 0);",
    ),
    "bcc-double-submit": (
        "Give `rec` back only where it was not: `else`",
        "    else",
    ),
    "bcc-oob-offbyone": (
        "Correct the check by one: the last element is N_BUCKETS - 1",
        "    if (b >= N_BUCKETS)",
    ),
    "bcc-perf-size": ("Cut `n` to what `buf` can hold", "        n = sizeof(buf);"),
    "bcc-sdiv": (
        "Divide as unsigned numbers",
        "    per_call = (u64)(*old + args->ret) / (u64)(s64)(tid | 3);",
    ),
    "bcc-stack-512": (
        "Keep `ev` in a per-CPU array: the stack has 512 bytes",
        "BPF_PERCPU_ARRAY(ev_room, struct path_event, 1);",
    ),
    "lib-rcu-unbalanced": (
        "Call bpf_rcu_read_unlock() before the return",
        "\t\tbpf_rcu_read_unlock();",
    ),
    "lib-raw-deref": (
        "Read `t->flags` with BPF_CORE_READ()",
        "\treturn BPF_CORE_READ(t, flags) & 0x00200000; /* PF_KTHREAD */",
    ),
    "lib-use-after-submit": ("Hand `e` over after its last use", "\tbpf_ringbuf_submit(e, 0);"),
    "lib-two-broken": None,
    "bcc-float": None,
}


def text_of(name):
    return (PROGRAMS / f"{name}.bpf.c").read_text()


def a_problem(text, code, wrong, message="", **more):
    """At what is `wrong` in the text."""
    at = text.index(wrong)
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    span = Span(line, column, column + len(wrong))
    return Problem(span, Severity.ERROR, code, message, **more)


def proposed(text, code, wrong, message="", **more):
    return proposals(text, a_problem(text, code, wrong, message, **more))


def null(name):
    return f"`{name}` may be NULL. Fix: check it first: `if (!{name}) return 0;`"


PROBE = """\
BPF_HASH(counts, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = 1;
    u64 *count = counts.lookup(&pid);
    BODY
    return 0;
}
"""


class TestProposals:
    def test_a_check_skips_only_what_needs_it(self):
        text = PROBE.replace("BODY", '*count += 1;\n    bpf_trace_printk("%d", pid);')
        first, second = proposed(text, "verifier/null-deref", "*count +=", null("count"))
        assert "    if (count)\n        *count += 1;\n    bpf_trace" in first.text
        assert "    if (!count)\n        return 0;\n    *count += 1;" in second.text

    def test_a_check_leaves_where_the_pointer_is_used_again(self):
        text = PROBE.replace("BODY", "*count += 1;\n    *count += 2;")
        first, _ = proposed(text, "verifier/null-deref", "*count +=", null("count"))
        assert "    if (!count)\n        return 0;\n    *count += 1;" in first.text

    def test_in_a_loop_the_next_round_goes_on(self):
        loop = "for (int i = 0; i < 4; i++) {\n        u64 n = *count;\n        pid += n;\n    }"
        text = PROBE.replace("BODY", loop)
        [only] = proposed(text, "verifier/null-deref", "*count;", null("count"))
        assert "        if (!count)\n            continue;\n        u64 n" in only.text

    def test_no_else_changes_hands(self):
        body = "if (pid)\n        *count += 1;\n    else\n        pid = 2;"
        text = PROBE.replace("BODY", body)
        [only] = proposed(text, "verifier/null-deref", "*count +=", null("count"))
        assert "    if (!count)\n        return 0;\n    if (pid)\n" in only.text

    def test_a_name_that_is_not_there_is_not_checked(self):
        text = PROBE.replace("BODY", "*count += 1;")
        assert not proposed(text, "verifier/null-deref", "*count +=", null("pointer"))

    def test_what_has_effects_is_not_said_twice(self):
        text = PROBE.replace("BODY", "u64 t[8] = {};\n    t[next()] = 1;")
        assert not proposed(text, "verifier/stack-bounds", "t[next()]")

    def test_a_signed_index_is_checked_at_both_ends(self):
        text = PROBE.replace("BODY", "u64 t[8] = {};\n    int at = pid;\n    t[at] = 1;")
        found = proposed(text, "verifier/stack-bounds", "t[at]")
        assert "if (at < 0 || at >= 8)" in found[0].text
        assert [each.is_sure for each in found] == [True, True, False]
        assert "t[at & 7] = 1;" in found[2].text

    def test_line_ends_and_characters_beyond_ascii_stay(self):
        text = PROBE.replace("BODY", "/* größer \N{ROCKET} */ *count += 1;").replace("\n", "\r\n")
        first = proposed(text, "verifier/null-deref", "*count +=", null("count"))[0]
        assert "if (!count)\r\n" in first.text
        assert "\n" not in first.text.replace("\r\n", "")

    @pytest.mark.parametrize("rule", remedies._RULES)
    @pytest.mark.parametrize(
        "text", ["", "}}}}", "\0", "int f(", "a\ud800b(c[d]);", "((((" * 500, "x[y[z[" * 200]
    )
    def test_any_text_will_do(self, text, rule):
        for line in (1, 7):
            problem = Problem(Span(line, 3, 9), Severity.ERROR, f"verifier/{rule}", null("a"))
            assert isinstance(proposals(text, problem), list)

    def test_a_licence_is_for_the_author_to_choose(self):
        [only] = proposed("int x;\n#include <bpf/a.h>\n", "verifier/gpl-only", "x")
        assert not only.is_sure
        assert only.text.endswith('char LICENSE[] SEC("license") = "GPL";\n')


class TestEdits:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("a\nb\nc\n", "a\nb\nx\nc\n"),
            ("a\nb", "a\nb\n\nc"),
            ("a\nb\n", "a\n\nb\n"),
            ("a\nb\nc", "b\nc"),
            ("a\nb\nc\nd", "A\nb\nc\nD\n"),
            ("", "a\n"),
        ],
    )
    def test_make_the_other_text(self, before, after):
        assert apply(before, edits_between("p", before, after)) == after

    def test_are_made_as_an_editor_would(self):
        before, after = "a\nb\nc\nd\n", "a\nx\nc\nc\nD\n"
        assert with_edits(before, edits_between("p", before, after)) == after
        assert with_edits("other\n", edits_between("p", before, after)) is None


def test_a_model_is_told_what_the_log_and_the_source_say():
    text = PROBE.replace("BODY", "*count += 1;")
    log = (
        "5: (85) call bpf_map_lookup_elem#1      ; R0=map_value_or_null(id=1,map=counts)\n"
        "6: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n"
        "processed 7 insns\n"
    )
    problem = a_problem(text, "verifier/null-deref", "*count +=", null("count"), log=log)
    *told, kernel = facts(text, problem)
    assert told == [
        "the kernel says: R0 invalid mem access 'map_value_or_null'",
        "the instruction that is refused: r1 = *(u64 *)(r0 +0)",
        "it is in TRACEPOINT_PROBE(sched, sched_process_exec)",
        "a map: BPF_HASH(counts, u32, u64)",
    ]
    assert kernel.startswith("the kernel is Linux ")


@pytest.mark.ebpf
@pytest.mark.asyncio
@pytest.mark.parametrize(("new", "is_accepted"), [("if (n)\n*n", True), ("if (!n)\n*n", False)])
async def test_a_models_change_is_tried_like_the_others(new, is_accepted):
    name = "bcc-null-relookup"
    text = text_of(name)
    documents = Documents(lambda _: None, LocalPlayground(cache_dir(), is_privileged=True))
    checked = await documents.check(name, text, None)
    [problem] = errors(checked)
    line = next(line for line in text.split("\n") if "*n += 10" in line)
    at = text.split("\n").index(line) + 1
    patch = Patch("a model", "Check it", (Edit(name, at, line, line.replace("*n", new)),))
    try:
        accepted = await documents.is_mended(
            name, text, patch, problem, checked=checked, playground=None
        )
    finally:
        await documents.close()
    assert accepted == is_accepted


class TestAcceptance:
    PROBLEM = Problem(Span(1), Severity.ERROR, "verifier/null-deref", "NULL", program="f")

    def checked(self, *problems, errno=0, helpers=(1, 2), n_instructions=20):
        program = ProgramReport("f", 5, errno, n_instructions, helpers)
        return Checked(problems, (program,), 0.1)

    def before(self):
        return self.checked(self.PROBLEM, errno=13)

    def test_is_for_what_loads(self):
        assert is_mended(self.PROBLEM, self.before(), self.checked())

    @pytest.mark.parametrize(
        "after",
        [
            {"errno": 13},
            {"helpers": (1,)},
            {"n_instructions": 4},
        ],
    )
    def test_is_not_for_what_is_refused_or_does_less(self, after):
        assert not is_mended(self.PROBLEM, self.before(), self.checked(**after))

    def test_is_not_for_what_is_wrong_in_another_way(self):
        other = Problem(Span(1), Severity.WARNING, "clang", "unused", program=None)
        assert not is_mended(self.PROBLEM, self.before(), self.checked(other))

    def test_is_not_for_what_nobody_showed_to_the_verifier(self):
        said = Problem(Span(1), Severity.INFORMATION, "check/not-verified", "no agent")
        assert not is_mended(self.PROBLEM, self.before(), self.checked(said))
        assert not is_mended(self.PROBLEM, self.before(), Checked((), (), 0.1))

    @pytest.mark.asyncio
    async def test_nothing_is_tried_where_the_verifier_was_not_asked(self):
        said = Problem(Span(1), Severity.INFORMATION, "check/not-verified", "no agent")

        async def check(text):
            raise AssertionError

        checked = self.checked(self.PROBLEM, said, errno=13)
        assert [fix async for fix in fixes("p", PROBE, checked, check)] == []


def mend(name):
    """What is offered, and of each text that was tried what came of it."""
    tried = {}

    async def check(text):
        tried[text] = (await check_alone(text))[0]
        return tried[text]

    async def all_fixes():
        text = text_of(name)
        return [fix async for fix in fixes(name, text, await check(text), check)]

    return asyncio.run(all_fixes()), tried


@pytest.fixture(scope="module")
def mended():
    """All begin now; a test waits for its own."""
    running = {name: in_background(mend, name) for name in MENDED}
    yield running
    for each in running.values():
        each.cancel()


def words(text):
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.findall(r"\w+", code)


@pytest.mark.ebpf
@pytest.mark.parametrize("name", MENDED)
def test_the_verifier_accepts_what_is_offered(name, mended):
    text = text_of(name)
    found, tried = mended[name].result()
    if MENDED[name] is None:
        assert not found
        return
    title, line = MENDED[name]
    [fix] = found
    assert fix.patch.title == title
    assert fix.patch.by == "rules"
    after = apply(text, fix.patch.edits)
    assert line in after.split("\n")
    # What the user wrote is all there, but for what the fix corrects.
    for word in set(words(text)):
        assert words(after).count(word) >= words(text).count(word) - (word == "const"), word
    assert not errors(tried[after])
    assert all(not program.errno for program in tried[after].programs)
