"""A probe in words, as markdown for an editor: the rules' sentences, and where a model is asked,
its own about each program and function, under its name.

Not here: the sentences (`playground.base.Author`), and what a model may say (`explain`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linnix_ls.core.findings import Note, SourceLocation
from linnix_ls.errors import LinnixError
from linnix_ls.explain.base import NoteRefused, ToldFunction
from linnix_ls.lsp.explaining import Explaining
from linnix_ls.lsp.text import code_span, markdown, prose
from linnix_ls.playground.base import Part

EXPLAIN_PROBE = "linnix.playground.explain"
MAX_SENTENCES = 2_000
MAX_ASKED = 12


@dataclass(frozen=True, slots=True)
class ToldProbe:
    path: str
    text: str
    parts: tuple[Part, ...]


async def notes_on(
    told: ToldProbe, explaining: Explaining, on_progress: Callable[[str], None]
) -> tuple[dict[Part, Note], str]:
    """A model's words on programs and functions, by part; and why there are not more."""
    found: dict[Part, Note] = {}
    n_refused = 0
    asked = [part for part in told.parts if part.kind != "map" and part.sentences][:MAX_ASKED]
    for part in asked:
        on_progress(part.name)
        # In the middle, so that the lines around it are those of the function.
        middle = part.sentences[len(part.sentences) // 2].line
        place = SourceLocation(told.path, middle, function=part.name)
        subject = ToldFunction(place, tuple(each.text for each in part.sentences[:16]))
        try:
            note = await explaining.ask_about(subject, told.text, lambda _: None)
        except NoteRefused:
            n_refused += 1
            continue
        except LinnixError as error:
            return found, f"the model was not asked: {error.message}"
        if note is None:
            return found, "there is no model to ask"
        found[part] = note
    why = f"of {len(asked)} answers {n_refused} did not pass the checks" if n_refused else ""
    return found, why


def as_markdown(told: ToldProbe, notes: Mapping[Part, Note], why_not_more: str = "") -> str:
    """One heading for each map, program and function; one line for each sentence."""
    lines = [f"# What {code_span(told.path.rpartition('/')[2])} does"]
    if why_not_more:
        lines += ["", f"({markdown(why_not_more)})"]
    n_left = MAX_SENTENCES
    for part in told.parts:
        lines += ["", f"## {part.kind.capitalize()} {code_span(part.name)}, line {part.line}", ""]
        if note := notes.get(part):
            lines += [f"{markdown(note.model)}: {prose(note.text)}", ""]
        lines += [f"- {each.line}: {prose(each.text)}" for each in part.sentences[:n_left]]
        n_left = max(0, n_left - len(part.sentences))
    if not told.parts:
        lines += ["", "There is no program, map or function in it."]
    return "\n".join(lines) + "\n"
