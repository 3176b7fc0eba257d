"""A probe in words, as markdown for an editor. Not here: the words (`playground.base.Author`)."""

from __future__ import annotations

from collections.abc import Sequence

from linnix_ls.lsp.text import code_span, prose
from linnix_ls.playground.base import Part

EXPLAIN_PROBE = "linnix.playground.explain"
MAX_SENTENCES = 2_000


def as_markdown(name: str, parts: Sequence[Part]) -> str:
    """One heading for each map, program and function; one line for each sentence."""
    lines = [f"# What {code_span(name)} does"]
    n_left = MAX_SENTENCES
    for part in parts:
        lines += ["", f"## {part.kind.capitalize()} {code_span(part.name)}, line {part.line}", ""]
        lines += [f"- {each.line}: {prose(each.text)}" for each in part.sentences[:n_left]]
        n_left = max(0, n_left - len(part.sentences))
    if not parts:
        lines += ["", "There is no program, map or function in it."]
    return "\n".join(lines) + "\n"
