"""Logs of both forms, read and explained: the text goes in, the problem comes out."""

from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.verifier.log import read_log
from linnix_ls.playground.verifier.origin import known_of, origin_of
from linnix_ls.playground.verifier.refusal import Refusal, explain

SOURCE = CSource("""\
struct { __uint(type, BPF_MAP_TYPE_HASH); /* … */ } counts SEC(".maps");

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    u32 key = bpf_get_current_pid_tgid() >> 32;
    u64 *count = bpf_map_lookup_elem(&counts, &key);
    *count += 1;
    return 0;
}
""")
STEPS = """\
0: R1=ctx() R10=fp0
; u64 *count = bpf_map_lookup_elem(&counts, &key); @ x.bpf.c:7
5: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)
; *count += 1; @ x.bpf.c:8
6: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
"""
OLD = STEPS + "processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0\n"
# As Linux 7.3 goes on after the old message; what it says is ours.
REPORT = """\

Verification failed: memory access: pointer may be NULL

Reason:
  R0 is what a lookup gave, and that may be nothing.

At:
  on_exec @ x.bpf.c:8:5
    8 |     *count += 1;
    6: (79) r1 = *(u64 *)(r0 +0)

Causal path:
  on_exec @ x.bpf.c:7:18
    R0 = map_value_or_null

Suggestion:
  Compare the pointer with NULL before it is used.

processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0
"""
NEW = STEPS + REPORT


def explained(log, lines=None, **more):
    return explain(
        Refusal(SOURCE, "x.bpf.c", "on_exec", "Permission denied", log, lines or {}, **more)
    )


def test_a_log_is_read_into_steps_with_their_lines_and_the_message():
    log = read_log(OLD)
    assert [(step.at, step.line) for step in log.steps] == [(5, 7), (6, 8)]
    assert log.messages == ("R0 invalid mem access 'map_value_or_null'",)
    assert log.report is None


def test_the_report_of_newer_kernels_is_read_and_is_no_message():
    log = read_log(NEW)
    assert log.messages == ("R0 invalid mem access 'map_value_or_null'",)
    report = log.report
    assert (report.category, report.problem) == ("memory access", "pointer may be NULL")
    assert report.reason == "R0 is what a lookup gave, and that may be nothing."
    assert report.suggestion == "Compare the pointer with NULL before it is used."
    assert (report.function, report.file, report.line, report.column) == (
        "on_exec",
        "x.bpf.c",
        8,
        5,
    )


def test_both_forms_give_the_same_rule_line_and_way():
    old, new = explained(OLD), explained(NEW)
    for problem in (old, new):
        assert problem.code == "verifier/null-deref"
        assert problem.span.line == 8
        assert problem.message.startswith("`count` may be NULL")
        assert 7 in [each.span.line for each in problem.related]
    assert old.message == new.message


def test_a_report_with_everything_on_its_headings_lines_is_read_too():
    text = STEPS + (
        "Verification failed: loops: does not end\nReason: nothing changes\n"
        "At: on_exec @ x.bpf.c:6:1\nSuggestion: bound it\nprocessed 3 insns\n"
    )
    report = read_log(text).report
    assert (report.reason, report.suggestion, report.line) == ("nothing changes", "bound it", 6)


def test_a_report_of_which_no_rule_is_known_is_told_in_its_own_words_at_its_own_line():
    problem = explained(
        "0: R1=ctx() R10=fp0\n5: (85) call something#99\nflux is inverted\n"
        "Verification failed: flux: inverted\nReason:\n  the flux of R1 is inverted\n"
        "At:\n  on_exec @ x.bpf.c:7:5\nSuggestion:\n  turn it\nprocessed 2 insns\n"
    )
    assert problem.code == "verifier/unknown"
    assert problem.span.line == 7
    assert "the flux of R1 is inverted" in problem.message


def test_a_report_cut_off_in_the_middle_is_no_reason_to_fail():
    for length in range(len(NEW)):
        assert explained(NEW[:length]).span.line >= 1
        assert explained(NEW[length:]).span.line >= 1


def test_what_other_paths_refused_is_forgotten():
    log = read_log("5: (b7) r0 = 1\nR9 nonsense\nfrom 3 to 7: R0=1\n7: (95) exit\nR0 !read_ok\n")
    assert log.messages == ("R0 !read_ok",)


def test_a_global_function_that_is_checked_by_itself_is_named():
    log = read_log("Validating score() func#1...\n0: (95) exit\nR0 !read_ok\n")
    assert log.validating == "score"


def test_the_origin_of_a_value_is_found_through_copies_and_the_stack():
    log = read_log(
        "1: (85) call bpf_ringbuf_reserve#131 ; R0=ringbuf_mem_or_null(id=2)\n"
        "2: (bf) r6 = r0\n3: (7b) *(u64 *)(r10 -8) = r6\n4: (79) r1 = *(u64 *)(r10 -8)\n"
        "5: (07) r1 += 8\n6: (61) r2 = *(u32 *)(r1 +0)\nR1 invalid mem access\n"
    )
    origin = origin_of(log.steps, "R1")
    assert (origin.step.at, origin.helper) == (1, "bpf_ringbuf_reserve")
    assert known_of(log.steps, "R0") == "ringbuf_mem_or_null(id=2)"
    assert origin_of(log.steps, "R9") is None


def test_functions_that_bcc_cannot_join_are_shown_where_they_are_called():
    source = CSource("""\
static __attribute__((noinline)) int half(int x) { return x / 2u; }
TRACEPOINT_PROBE(sched, sched_switch)
{
    return half(args->prev_pid);
}
""")
    log = "last insn is not an exit or jmp\nprocessed 0 insns\n"
    name = "tracepoint__sched__sched_switch"
    in_bcc = explain(Refusal(source, "x", name, "", log, {}, is_bcc=True))
    assert (in_bcc.code, in_bcc.span.line) == ("verifier/bcc-call", 4)
    assert explain(Refusal(source, "x", name, "", log, {})).code == "verifier/no-exit"
