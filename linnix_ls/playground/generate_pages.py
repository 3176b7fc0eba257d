"""Writes docs/verifier: ``python -m linnix_ls.playground.generate_pages``, as root.

A page a rule of the catalogue: its example, what the kernel says of it, and what we make of that.
The messages are those of the kernel that this ran on; a test sees to it that each rule has a page
with its example.
"""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

from linnix_ls.config import cache_dir
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.checker import Request, Trial, try_out
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.headers import header_folders
from linnix_ls.playground.verifier.log import read_log
from linnix_ls.playground.verifier.rules import Rule, catalogue

FOLDER = Path(__file__).parents[2] / "docs" / "verifier"
MARK = " // <-"


def page(rule: Rule, trial: Trial | None, request: Request | None) -> str:
    """Markdown; without a trial, of a rule that no example provokes on this kernel."""
    parts = [f"# verifier/{rule.id}", ""]
    if rule.example is None or trial is None or request is None:
        parts += ["The kernel says:", "", "```", rule.log or "", "```", ""]
        parts += [f"Fix: {_plain(rule.fix)}.", ""]
        return "\n".join(parts)
    [problem, *_] = [p for p in diagnose(request, trial).problems if p.code.startswith("verifier/")]
    said = [message for told in trial.programs for message in read_log(told["log"]).messages]
    line = problem.span.line
    shown = rule.example.strip("\n").replace(MARK, "").split("\n")
    offset = 0 if rule.example[0] != "\n" else 1
    width = len(str(len(shown)))
    listing = [
        f"{'>' if number + offset == line else ' '} {number:>{width}} {text}".rstrip()
        for number, text in enumerate(shown, 1)
    ]
    parts += [problem.message[:1].upper() + problem.message[1:] + ".", ""]
    parts += ["```", *listing, "```", ""]
    for related in problem.related:
        parts.append(f"- line {related.span.line}: {related.message}")
    kernel = platform.release().split("-", 1)[0]
    parts += ["", f"The kernel ({kernel}) says:", "", "```", *said, "```", ""]
    return "\n".join(parts)


def _plain(template: str) -> str:
    return template.replace("{", "").replace("}", "")


async def _trial_of(rule: Rule) -> tuple[Trial, Request] | None:
    if rule.example is None:
        return None
    source = CSource(rule.example)
    headers, include = header_folders(cache_dir())
    dialect = dialect_of(rule.example)
    request = Request(dialect, "example.bpf.c", rule.example, headers, include, source.contexts)
    return await try_out(request), request


async def _write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    index = [
        "# What the verifier refuses",
        "",
        "Written by `python -m linnix_ls.playground.generate_pages`, as root. Each page has an"
        " example, what the kernel says of it, and what we make of that.",
        "",
    ]
    for rule in catalogue():
        found = await _trial_of(rule)
        text = page(rule, *found) if found else page(rule, None, None)
        (FOLDER / f"{rule.id}.md").write_text(text)
        index.append(f"- [{rule.id}]({rule.id}.md)")
    (FOLDER / "README.md").write_text("\n".join([*index, ""]))


if __name__ == "__main__":
    asyncio.run(_write())
