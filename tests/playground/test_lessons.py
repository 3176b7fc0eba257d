"""Each lesson, checked with what it begins with, with its solution, and with known mistakes.

All that are asked for run at once, a few at a time, before the first test looks at its own.
"""

import asyncio
import os

import pytest

from linnix_ls.config import cache_dir
from linnix_ls.playground.lessons import HINT_STEPS, all_lessons
from linnix_ls.playground.running_lessons import check_answer

N_AT_ONCE = 2 * (os.cpu_count() or 1)
LESSONS = all_lessons()
ANSWERS = [
    pytest.param(lesson, name, id=f"{lesson.number}-{name}")
    for lesson in LESSONS
    for name in ("start", "reference", *lesson.wrong)
]


@pytest.fixture(scope="module")
def results(request):
    asked = [
        (item.callspec.params["lesson"], item.callspec.params["answer"])
        for item in request.session.items
        if item.path == request.path and "answer" in item.fixturenames
    ]

    async def check_all():
        turns = asyncio.Semaphore(N_AT_ONCE)

        async def check(lesson, name):
            async with turns:
                source = lesson.start if name == "start" else lesson.answer(name)
                return await check_answer(lesson, source, cache_dir())

        found = await asyncio.gather(*(check(*each) for each in asked))
        return {
            (lesson.number, name): result
            for (lesson, name), result in zip(asked, found, strict=True)
        }

    return asyncio.run(check_all())


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)  # the first one waits for all; a minute on two cores that are free
@pytest.mark.parametrize(("lesson", "answer"), ANSWERS)
def test_only_the_reference_passes_and_each_mistake_gets_its_own_hint(lesson, answer, results):
    result = results[lesson.number, answer]
    failed = [outcome for outcome in result.outcomes if not outcome.is_passed]
    if answer == "reference":
        assert not failed
        assert result.is_passed
        assert len(result.outcomes) == lesson.n_checks
    else:
        expected = "begin" if answer == "start" else lesson.wrong[answer]
        assert (result.hint, result.is_passed) == (expected, False), failed


def test_there_are_lessons_in_their_order_without_a_gap():
    assert [lesson.number for lesson in LESSONS] == list(range(1, len(LESSONS) + 1))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_complete(lesson):
    ids = {hint.id for hint in lesson.hints}
    assert ids >= {"begin", *lesson.wrong.values()}
    assert all(hint.step(number + 1) for hint in lesson.hints for number in range(len(HINT_STEPS)))
    assert {
        path.name.removesuffix(".bpf.c") for path in (lesson.folder / "solutions").iterdir()
    } == {
        "reference",
        *lesson.wrong,
    }
    assert all(
        need in lesson.text for need in ("**To do.**", "**What will be checked.**", "**Needs**")
    )


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_text_does_not_give_the_solution_away(lesson):
    for line in lesson.solution.splitlines():
        if line.strip() not in ("", "{", "}", "return 0;") and line not in lesson.start:
            assert line.strip() not in lesson.text
