"""Lessons without privilege: each answer on recorded events, where the same check decides."""

import asyncio
import json
import os
import shutil

import pytest

from linnix_ls.config import cache_dir
from linnix_ls.playground.base import How
from linnix_ls.playground.lessons import all_lessons, lesson
from linnix_ls.playground.recorded_lessons import RECORDING, check_compiled, check_on_recording
from linnix_ls.playground.recorded_worker import run
from linnix_ls.playground.recording import Recording

needs_clang = pytest.mark.skipif(shutil.which("clang") is None, reason="no clang")
LESSONS = [each for each in all_lessons() if each.why_not_recorded is None]
ANSWERS = [
    pytest.param(each, name, id=f"{each.number}-{name}")
    for each in LESSONS
    for name in ("start", "reference", *each.wrong)
]
MAX_BYTES = 200_000


@pytest.fixture(scope="module")
def results(request):
    """All that are asked for, a few at a time: most of it is starting processes."""
    asked = [
        (item.callspec.params["lesson_"], item.callspec.params["answer"])
        for item in request.session.items
        if item.path == request.path and "answer" in item.fixturenames
    ]

    async def check_all():
        turns = asyncio.Semaphore(os.cpu_count() or 1)

        async def check(each, name):
            async with turns:
                source = each.start if name == "start" else each.answer(name)
                return await check_on_recording(each, source)

        found = await asyncio.gather(*(check(*one) for one in asked))
        return {(each.number, name): one for (each, name), one in zip(asked, found, strict=True)}

    return asyncio.run(check_all())


@needs_clang
@pytest.mark.e2e
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("lesson_", "answer"), ANSWERS)
def test_a_recording_tells_answers_apart_as_the_kernel_does(lesson_, answer, results):
    result = results[lesson_.number, answer]
    failed = [outcome for outcome in result.outcomes if not outcome.is_passed]
    assert result.how is How.RECORDED
    if answer == "reference":
        assert not failed
        assert result.is_passed
        assert len(result.outcomes) + len(result.not_checked) == lesson_.n_checks
    else:
        expected = "begin" if answer == "start" else lesson_.wrong[answer]
        assert (result.hint, result.is_passed) == (expected, False), failed


def test_recordings_are_small_and_belong_to_lessons_that_have_them():
    sizes = {each.number: (each.folder / RECORDING).stat().st_size for each in LESSONS}
    assert sum(sizes.values()) < MAX_BYTES
    others = [each for each in all_lessons() if each.why_not_recorded]
    assert not any((each.folder / RECORDING).exists() for each in others)


def told(source, number=1):
    """What the worker tells, without its process."""
    recording = Recording.read(lesson(number).folder / RECORDING)
    pid, _ = recording.workloads[0]
    return run(source.replace("RUNNER 0", f"RUNNER {pid}"), recording)


def checked(source, number=1):
    return asyncio.run(check_on_recording(lesson(number), source))


def with_body(body, number=1):
    """The start of a lesson, with this in its first marked place."""
    before, _, after = lesson(number).start.partition("/* >>> your code")
    return before + body + after.partition("*/")[2].partition("/* <<< */")[2]


@needs_clang
class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("u32 pid = nobody;", "9:15: error: use of undeclared identifier 'nobody'"),
            ("for (;;) bpf_ktime_get_ns();", "a loop that does not end"),
            ("u64 *p = (u64 *)0x12345678901; *p = 1;", "a pointer that leads nowhere"),
            ("u64 *p = 0; if (args->pid != -1) execs.update((u32 *)&p[1], p);", "NULL"),
            ("void (*f)(int, int) = (void *)109; f(9, 9);", "bpf_send_signal() does more"),
            ("void (*f)(void) = (void *)200; f();", "helper 200 is not there"),
            ("u64 a[60]; bpf_probe_read_kernel(a, 600, args);", "reaches behind"),
            ("args->pid = 1;", "only reading is allowed"),
        ],
    )
    def test_a_program_that_cannot_go_on_says_why(self, body, said):
        assert said in json.dumps(told(with_body(body)))

    def test_its_first_error_is_what_the_check_saw(self):
        result = checked(with_body("u32 pid = nobody;"))
        assert not result.is_passed
        assert result.outcomes[-1].seen == "line 9: use of undeclared identifier 'nobody'"

    def test_what_was_not_recorded_is_named(self):
        source = lesson(1).start.replace("sched, sched_process_exec", "sched, sched_switch")
        rule, message = told(source)["fault"]
        assert rule == "recording"
        assert "sched:sched_switch was not recorded" in message
        assert "sched:sched_process_exec" in message

    @pytest.mark.parametrize(
        "source",
        [
            "",
            "\0",
            "\ud800",
            "int x",
            "}" * 1000,
            '#include "/etc/shadow"\n',
            "int f(void) { return 0; }\n" * 3,
            "BPF_HASH(execs, u32, u64);\nextern int g(void);\nint f(void) { return g(); }",
            'BPF_TABLE("lpm_trie", u64, u64, t, 9);\nint f(void) { return !t.lookup(0); }',
            "BPF_ARRAY(a, u64, 2000000000);\nint f(void) { int z = 0; return !a.lookup(&z); }",
        ],
    )
    def test_any_text_at_all_gets_an_answer(self, source):
        assert told(source).keys() & {"failed", "fault", "readings"}

    @pytest.mark.e2e
    def test_a_file_that_the_compiler_may_not_read_is_an_error_at_its_line(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("int leaked_word;\n")
        result = checked(f'#include "{secret}"\n')
        assert "line 1" in result.outcomes[-1].seen
        assert "leaked_word" not in json.dumps([each.seen for each in result.outcomes])

    def test_half_of_a_reserved_record_is_told_of(self):
        source = lesson(3).solution.replace(
            "execs.ringbuf_output(&record, sizeof(record), 0);",
            "execs.ringbuf_reserve(sizeof(record));",
        )
        assert "neither submitted nor discarded" in told(source, 3)["fault"][1]


@needs_clang
class TestMachine:
    def test_records_may_be_reserved_and_written_in_place(self):
        source = lesson(3).solution.replace(
            "execs.ringbuf_output(&record, sizeof(record), 0);",
            "struct exec_t *sent = execs.ringbuf_reserve(sizeof(struct exec_t));\n"
            "if (!sent) return 0;\n*sent = record;\nexecs.ringbuf_submit(sent, 0);",
        )
        assert checked(source, 3).is_passed

    def test_functions_of_ones_own_atomics_and_divisions_do_what_they_do_in_c(self):
        source = """
BPF_HASH(execs, u32, u64);
static __attribute__((noinline)) u64 one(u64 seven) { return seven / 7 % 2 + (seven >> 60); }
TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    u64 none = 0, *count = execs.lookup_or_try_init(&pid, &none);
    s32 below = -(s32)one(7);

    if (count && below < 0 && below >> 1 == -1)
        __sync_fetch_and_add(count, one(args->pid > 0 ? 7 : 14));
    return 0;
}
"""
        result = checked(source)
        assert result.is_passed, result.outcomes


@pytest.mark.e2e
@pytest.mark.ebpf
class TestCompiledOnly:
    def check(self, source, number=5):
        return asyncio.run(check_compiled(lesson(number), source, cache_dir()))

    def test_what_compiles_has_passed_these_checks_but_not_the_lesson(self):
        result = self.check(lesson(5).start)
        assert (result.n_passed, result.n_checks, result.is_passed) == (2, 2, False)
        assert any("verifier" in each for each in result.not_checked)

    def test_an_error_is_at_its_line(self):
        result = self.check("int x\n" + lesson(5).start)
        assert not result.outcomes[0].is_passed
        assert "line " in result.outcomes[0].seen

    def test_what_is_refused_is_told_apart_from_what_is_broken(self):
        source = lesson(7).start.replace("u64 now", "bpf_send_signal(9);\n    u64 now")
        result = self.check(source, 7)
        assert [each.is_passed for each in result.outcomes] == [True, False]
        assert "bpf_send_signal" in result.outcomes[1].seen
