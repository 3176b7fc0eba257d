"""`linnix-ls playground`: lessons in eBPF, with a probe to edit and a check that runs it.

Not here: what is checked (`playground.lessons`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnix_ls.cli.screen import plain_table, print_out, write_all

if TYPE_CHECKING:
    from linnix_ls.playground.base import LessonResult, Playground
    from linnix_ls.playground.lesson_folder import LessonFolder
    from linnix_ls.playground.lessons import Lesson

SCHEMA = "linnix-playground/1"
NOT_PASSED = 1


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "playground",
        help="learn eBPF: twelve lessons with a probe to edit and a check that runs it",
        description="Lessons in eBPF. Each has a text, a probe to edit, and a check that loads"
        " it and compares what it saw with what really happened.",
        allow_abbrev=False,
    )
    _add_options(parser)
    parser.set_defaults(run=_list)
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")
    _command(commands, "list", _list, "all lessons, and how far you are")
    for name, run, what in (
        ("open", _open, "copy a lesson into your folder, and say where it is"),
        (
            "check",
            _check,
            "load your probe, let things happen, compare; without root, run it on recorded events",
        ),
        ("hint", _hint, "the next hint, of three steps: idea, place, code"),
        ("reset", _reset, "begin a lesson anew; what you wrote is kept beside it"),
    ):
        _command(commands, name, run, what).add_argument("number", metavar="N", type=int)
    commands.choices["hint"].add_argument(
        "--solution", action="store_true", help="the whole solution instead; asks first"
    )
    explain = _command(commands, "explain", _explain, "say line by line what a probe does")
    explain.add_argument("file", metavar="FILE", type=Path)
    clangd = _command(
        commands, "clangd", _clangd, "have clangd understand the probes in a folder of yours"
    )
    clangd.add_argument("of", metavar="FOLDER", type=Path, nargs="?", default=Path())
    clangd.add_argument(
        "--yes", action="store_true", help="put it in the place of a .clangd of yours"
    )
    commands.choices["check"].add_argument(
        "--recorded", action="store_true", help="on recorded events, as it is without root"
    )
    commands.choices["hint"].add_argument("--yes", action="store_true", help="do not ask")


def _add_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        type=Path,
        help="where your lessons are; default $XDG_DATA_HOME/linnix-ls/playground",
        **default,
    )
    parser.add_argument("--json", action="store_true", help="for programs", **default)


def _command(commands: Any, name: str, run: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[0].upper() + what[1:] + ".", allow_abbrev=False
    )
    # Before the subcommand or after it: what is not given here must not undo what was given there.
    _add_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


# --- list, open, reset ------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from linnix_ls.playground.lessons import all_lessons

    folder = _folder(args)
    lessons = all_lessons()
    progress = {lesson.number: folder.progress(lesson) for lesson in lessons}
    if args.json:
        _print_json(
            folder=str(folder.path),
            lessons=[_as_json(folder, lesson) for lesson in lessons],
        )
        return 0
    table = plain_table("Lessons", ("", "N", "title", "progress", "what you learn"))
    for lesson in lessons:
        state = progress[lesson.number]
        is_open = folder.is_open(lesson)
        table.add_row(
            "✔" if state.is_passed else "●" if is_open else "",
            str(lesson.number),
            lesson.title,
            state.summary if is_open else "",
            lesson.learn,
        )
    n_passed = sum(state.is_passed for state in progress.values())
    table.caption = (
        f"{n_passed} of {len(lessons)} passed, in {_visible(str(folder.path))}\n"
        "linnix-ls playground open N, edit, and then: check N"
    )
    print_out(table)
    _tell_of_permission(lessons)
    return 0


def _tell_of_permission(lessons: list[Lesson]) -> None:
    from linnix_ls.errors import LinnixError
    from linnix_ls.playground.running_lessons import require_permission

    try:
        require_permission()
    except LinnixError as error:
        recorded = ", ".join(str(each.number) for each in lessons if not each.why_not_recorded)
        print_out(
            f"\nTo check one fully needs root: {error.fix}\n"
            f"Without, your probe for {recorded} runs on recorded events, and the same check"
            " decides; nothing is loaded. The others are only compiled:"
        )
        for each in lessons:
            if each.why_not_recorded:
                print_out(f"  {each.number}: {each.why_not_recorded}")


def _open(args: argparse.Namespace) -> int:
    lesson, folder = _lesson(args), _folder(args)
    copied = folder.open(lesson)
    if args.json:
        _print_json(**_as_json(folder, lesson), copied=[str(path) for path in copied])
        return 0
    print_out(lesson.text)
    if not copied:
        print_out("It was open already; nothing of yours was changed.")
    print_out(
        f"Edit   {_visible(str(folder.probe(lesson)))}\n"
        f"Check  {_visible(_typed(folder, 'check', lesson, as_root=True))}\n"
        f"Hint   {_visible(_typed(folder, 'hint', lesson))}"
    )
    return 0


def _reset(args: argparse.Namespace) -> int:
    lesson, folder = _lesson(args), _folder(args)
    kept = folder.reset(lesson)
    if args.json:
        _print_json(**_as_json(folder, lesson), kept=str(kept) if kept else None)
        return 0
    print_out(f"Lesson {lesson.number} begins anew: {_visible(str(folder.probe(lesson)))}")
    if kept:
        print_out(f"What you wrote is in {_visible(str(kept))}")
    return 0


# --- check, hint ------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    """0 when all checks pass, else `NOT_PASSED`."""
    from linnix_ls.config import cache_dir
    from linnix_ls.playground.lesson_desk import check_as_far_as_may_be

    lesson, folder = _lesson(args), _folder(args)
    source = folder.source(lesson)

    async def check() -> LessonResult:
        async with _playground() as playground:
            return await check_as_far_as_may_be(
                lesson, source, cache_dir(), playground, is_recorded=args.recorded
            )

    result = asyncio.run(check())
    folder.note(lesson, result)
    if args.json:
        _print_json(**_as_json(folder, lesson), **_result_as_json(result))
    else:
        _show(lesson, result, folder)
    return 0 if result.is_passed else NOT_PASSED


def _show(lesson: Lesson, result: LessonResult, folder: LessonFolder) -> None:
    from linnix_ls.playground.base import How

    title = f"Lesson {lesson.number}: {result.summary}"
    table = plain_table(title, ("", "check", "expected", "seen"))
    for outcome in result.outcomes:
        table.add_row(
            "✔" if outcome.is_passed else "✘",
            _visible(outcome.name),
            _visible(outcome.expected),
            _visible(outcome.seen),
            style="" if outcome.is_passed else "bold",
        )
    print_out(table)
    if result.is_passed:
        print_out("\nWell done.")
    elif result.n_passed < result.n_checks:
        print_out(f"\nA hint: {_visible(_typed(folder, 'hint', lesson))}")
    for each in result.not_checked:
        print_out(f"Not checked: {each}")
    if result.how is not How.LOADED:
        print_out(f"All of it: {_visible(_typed(folder, 'check', lesson, as_root=True))}")


def _hint(args: argparse.Namespace) -> int:
    from linnix_ls.errors import UsageError
    from linnix_ls.playground.lessons import HINT_STEPS

    lesson, folder = _lesson(args), _folder(args)
    if args.solution:
        if not args.yes and not _agrees(f"Show the solution of lesson {lesson.number}?"):
            raise UsageError("not shown", fix="answer y, or add --yes")
        if args.json:
            _print_json(**_as_json(folder, lesson), solution=lesson.solution)
        else:
            print_out(lesson.solution)
        return 0
    found = folder.next_hint(lesson)
    if args.json:
        step, text = found or (0, None)
        _print_json(**_as_json(folder, lesson), step=step, hint=text)
    elif found is None:
        print_out("All checks passed the last time. There is nothing left to hint at.")
    else:
        step, text = found
        print_out(f"Hint {step} of {len(HINT_STEPS)}, {HINT_STEPS[step - 1]}: {text}")
    return 0


# --- clangd -----------------------------------------------------------------------------------


def _clangd(args: argparse.Namespace) -> int:
    """Writes `.clangd` into the folder and a header into the cache. One of the user's own is kept
    beside it."""
    from linnix_ls.config import cache_dir
    from linnix_ls.errors import LinnixError, UsageError
    from linnix_ls.playground import shim

    folder = args.of.absolute()
    path, kept = folder / ".clangd", None
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    try:
        if shim.is_anothers(path):
            question = f"{_visible(str(path))} is yours. Put another in its place, and keep it?"
            if not args.yes and not _agrees(question):
                raise UsageError(
                    f"{path} was not made by linnix-ls; nothing was done",
                    fix="answer y, or add --yes",
                )
            numbered = (path.with_name(f".clangd.before-{n}") for n in itertools.count(1))
            kept = next(each for each in numbered if not os.path.lexists(each))
        told = asyncio.run(_knowledge())
        if kept:
            path.rename(kept)
        shim.configure(folder, cache_dir(), told)
    except OSError as error:
        raise LinnixError(f"{error.filename or folder}: {error.strerror}") from error
    if args.json:
        _print_json(written=str(path), kept=str(kept) if kept else None)
        return 0
    print_out(f"Written: {_visible(str(path))}")
    if kept:
        print_out(f"Yours is in {_visible(str(kept))}")
    print_out("Write it again after a new kernel, and when a probe of the other dialect comes.")
    return 0


async def _knowledge() -> bytes | None:
    """What an agent knows of this kernel that only root can read."""
    from linnix_ls.errors import LinnixError

    async with _playground() as playground:
        with contextlib.suppress(LinnixError):
            return (await playground.knowledge()).encode() if playground else None
    return None


@contextlib.asynccontextmanager
async def _playground() -> AsyncIterator[Playground | None]:
    """The agent's, for who is not root and needs it."""
    from linnix_ls import app
    from linnix_ls.config import Settings
    from linnix_ls.errors import LinnixError

    feed = None
    if os.geteuid() != 0:
        with contextlib.suppress(LinnixError):
            feed = await app.open_feed(Settings(tracer="bcc"), on_progress=lambda _: None)
    try:
        yield feed.playground if feed else None
    finally:
        if feed:
            await feed.close()


def _agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    write_all(2, f"{question} [y/N] ".encode())
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# --- explain ----------------------------------------------------------------------------------


def _explain(args: argparse.Namespace) -> int:
    """Nothing is compiled or loaded. As root it knows more of tracepoints."""
    from linnix_ls.errors import UsageError
    from linnix_ls.playground import authoring
    from linnix_ls.sources import read_source

    content = read_source(str(args.file))
    if content is None:
        raise UsageError(f"{args.file} is no source that can be read")
    source = content.decode("utf-8", "replace")
    parts = authoring.load().tell(source)
    if args.json:
        _print_json(path=str(args.file), parts=[asdict(part) for part in parts])
        return 0
    if not parts:
        print_out("There is nothing in it that could be explained: no program, map or function.")
    for part in parts:
        print_out(f"\n{part.kind} {_visible(part.name)}")
        for sentence in part.sentences:
            print_out(f"{sentence.line:6}  {_visible(sentence.text)}")
    return 0


# --- what they share --------------------------------------------------------------------------


def _folder(args: argparse.Namespace) -> LessonFolder:
    from linnix_ls.playground.lesson_folder import LessonFolder, default_folder

    return LessonFolder(args.folder or default_folder())


def _lesson(args: argparse.Namespace) -> Lesson:
    from linnix_ls.playground.lessons import lesson

    return lesson(args.number)


def _typed(folder: LessonFolder, what: str, lesson: Lesson, *, as_root: bool = False) -> str:
    """The command to type. With the folder where another user, as whom it may run, would look
    elsewhere."""
    from linnix_ls import invocation
    from linnix_ls.playground.lesson_folder import default_folder

    words = ["playground", what, str(lesson.number)]
    needs_root = as_root and os.geteuid() != 0
    if needs_root or folder.path != default_folder():
        words += ["--folder", str(folder.path)]
    return invocation.as_root(*words) if needs_root else shlex.join(["linnix-ls", *words])


def _as_json(folder: LessonFolder, lesson: Lesson) -> dict[str, Any]:
    return {
        "number": lesson.number,
        "title": lesson.title,
        "needs": lesson.needs,
        "is_for_reading": lesson.is_for_reading,
        "why_not_recorded": lesson.why_not_recorded,
        "is_open": folder.is_open(lesson),
        "probe": str(folder.probe(lesson)),
        "progress": asdict(folder.progress(lesson)),
    }


def _result_as_json(result: LessonResult) -> dict[str, Any]:
    return {
        "is_passed": result.is_passed,
        "summary": result.summary,
        "how": result.how,
        "not_checked": result.not_checked,
        "outcomes": [asdict(outcome) for outcome in result.outcomes],
        "problems": [asdict(problem) for problem in result.problems],
        "took_s": round(result.took_s, 3),
    }


def _print_json(**content: Any) -> None:
    text = json.dumps({"schema": SCHEMA} | content, indent=2) + "\n"
    write_all(1, text.encode("utf-8", "backslashreplace"))


def _visible(text: str) -> str:
    from linnix_ls.core.text import visible

    return visible(text)
