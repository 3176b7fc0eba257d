"""How true explanations are: those by rules, and the notes of models.

    python -m bench.explain.quality [--model NAME_OR_GGUF]... [--cases N] [--out DIR]

Rules explain every finding of the recorded corpus and every counterfactual of it: one number
changed, one fact taken away, all of them, the order shuffled, another place. Each model is asked
about the findings as they are, about the same with their deciding number changed, and without it.
Nobody judges: what is counted can be counted (bench.explain.truth).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

from bench import machine
from bench.explain import counterfactuals, truth
from bench.explain.snapshots import Snapshot, recorded, source_of
from bench.progress import Steps
from linnix_ls import app
from linnix_ls.config import ExplainSettings
from linnix_ls.core.detectors.wording import spelled
from linnix_ls.core.explanations import ADVICE, explain
from linnix_ls.core.findings import Explanation, Finding, Note
from linnix_ls.explain import excerpt, gate
from linnix_ls.explain.base import Answer, Excerpt, NoAnswer
from linnix_ls.explain.notes import question_about

SCHEMA = "linnix-explain/1"
TARGET_TEXT_MS = 50.0


# -- rules ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class RulesScore:
    """What was counted over all texts by rules.

    Attributes:
        not_followed: counterfactuals whose text did not follow, in words.
    """

    n_snapshots: int = 0
    n_counterfactuals: int = 0
    n_right_cause: int = 0
    unsupported: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    not_followed: list[str] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    def take(self, name: str, finding: Finding) -> Explanation:
        """Explain and check; the explanation."""
        began_s = time.perf_counter()
        words = explain(finding)
        self.times_ms.append((time.perf_counter() - began_s) * 1000)
        checked = (truth.unsupported_numbers, truth.unknown_places)
        self.unsupported += [
            f"{name}: {what}" for check in checked for what in check(finding, words)
        ]
        self.contradictions += [f"{name}: {what}" for what in truth.contradictions(finding, words)]
        self.coverage.append(truth.citation_coverage(finding, words))
        return words


def score_rules(snapshots: Sequence[Snapshot]) -> RulesScore:
    score = RulesScore(n_snapshots=len(snapshots))
    for snapshot in snapshots:
        finding, name = snapshot.finding, snapshot.case.id
        score.n_right_cause += finding.cause.replace("_", "-") == snapshot.case.cause
        before = score.take(name, finding)
        for change, changed, is_followed in _changes(finding, before):
            score.n_counterfactuals += 1
            after = score.take(f"{name}, {change}", changed)
            if not is_followed(after):
                score.not_followed.append(f"{name}, {change}: {after.summary} {after.why}")
    return score


_IsFollowed = Callable[[Explanation], bool]


def _changes(finding: Finding, before: Explanation) -> Iterator[tuple[str, Finding, _IsFollowed]]:
    """Each counterfactual: in words, the finding, and whether a text follows."""
    said = _all_text(before)
    for piece, changed in counterfactuals.with_changed_values(finding):
        was = next(old for old in finding.evidence if old.id == piece.id)
        must_say = (spelled(piece) or "") if (spelled(was) or "") in said else ""

        def says_the_other(after: Explanation, must: str = must_say, id_: str = piece.id) -> bool:
            return must in _all_text(after) or id_ not in after.cites

        yield f"{piece.name} is {piece.value}", changed, says_the_other
    for name, changed in counterfactuals.with_missing_facts(finding):
        ids = {piece.id for piece in finding.evidence if piece.name == name}

        def is_silent(after: Explanation, ids: set[str] = ids) -> bool:
            return not ids & set(after.cites)

        yield f"{name} is not known", changed, is_silent
    yield (
        "nothing is known",
        counterfactuals.without_evidence(finding),
        lambda after: not after.cites and "not known" in after.summary,
    )
    yield (
        "another order",
        counterfactuals.in_another_order(finding),
        lambda after: replace(after, cites=()) == replace(before, cites=()),
    )
    moved = counterfactuals.elsewhere(finding)
    place = moved.location
    if place is not None:
        where = f"{Path(place.path).name}:{place.line}"
        yield "another place", moved, lambda after: where in after.summary


def _all_text(words: Explanation) -> str:
    return " ".join((words.summary, words.why, *words.fix, words.otherwise))


# -- models --------------------------------------------------------------------------------------


@dataclass(slots=True)
class ModelScore:
    """What was counted over all questions to one model.

    Attributes:
        n_raw_contradictions, n_raw_unsupported: of answers, before the gate.
        false: what is wrong with notes that passed the gate, in words.
        failed: why there was no answer, by cause.
    """

    name: str
    n_asked: int = 0
    n_answers: int = 0
    n_notes: int = 0
    n_patches: int = 0
    n_raw_contradictions: int = 0
    n_raw_unsupported: int = 0
    false: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)

    def take(self, name: str, finding: Finding, source: Excerpt | None, answer: Answer) -> None:
        self.n_answers += 1
        if answer.cpu_s is not None:
            self.cpu_s.append(answer.cpu_s)
        raw = _as_explanation(finding, answer.text)
        self.n_raw_contradictions += bool(truth.contradictions(finding, raw))
        self.n_raw_unsupported += bool(truth.unsupported_numbers(finding, raw))
        checked = gate.examine(answer.text, answer.model, finding, source, is_free_prose=False)
        self.refused.update(str(refusal.reason) for refusal in checked.refusals)
        note = checked.note
        if note is None:
            return
        self.n_notes += 1
        self.n_patches += note.patch is not None
        self.notes.append({"of": name, "text": note.text})
        words = _as_explanation(finding, note.text)
        self.false += [
            f"{name}: {what}"
            for what in (
                *truth.contradictions(finding, words),
                *truth.unknown_places(finding, words),
                *_invented_names(finding, note),
            )
        ]


def _as_explanation(finding: Finding, text: str) -> Explanation:
    ids = tuple(piece.id for piece in finding.evidence)
    return Explanation("model", "", text, (), ids)


# What stands in backticks, is called, or is spelled as only names are.
_NAME = re.compile(
    r"`([^`]+)`|\b([A-Za-z_]\w*)\(|\b(\w+_\w+|[a-z]+[A-Z]\w*)\b|\b(\w+\.\w+\.?\w*)\b"
)


def _invented_names(finding: Finding, note: Note) -> list[str]:
    """Names in a note that neither the whole source file, the finding nor the rules' words have,
    nor is a known way to wait: counted apart from the gate, by other code."""
    assert finding.explanation is not None
    known = " ".join(
        (
            (finding.location and source_of(finding.location.path)) or "",
            _all_text(finding.explanation),
            " ".join(map(repr, (finding.evidence, finding.location, finding.other_locations))),
            " ".join(finding.process.argv),
            " ".join(line for table in ADVICE for lines in table.values() for line in lines),
        )
    )
    words = set(re.findall(r"\w+", known))
    said = [next(filter(None, match.groups())) for match in _NAME.finditer(note.text)]
    return [name for name in said if not set(re.findall(r"[^\W\d]\w*", name)) <= words | _WAYS]


# Of standard libraries, what a fix may call for.
_WAYS = frozenset(
    "sleep time timeout wait join notify deadline monotonic yield_now park recv_timeout poll"
    " select asyncio Event Condition cpu_count os threading queue get put stdin stdout".split()
)


async def score_model(name: str, snapshots: Sequence[Snapshot], steps: Steps) -> ModelScore:
    writer = app.note_writer(
        ExplainSettings(source="llama", model=name, deadline_s=600, when="asked")
    )
    assert writer is not None
    score = ModelScore(Path(name).stem)
    try:
        for snapshot in snapshots:
            for change, finding in _questions(snapshot.finding):
                steps.begin(f"{score.name}: {snapshot.case.id}, {change}")
                score.n_asked += 1
                source = excerpt.read(finding, source_of)
                began_s = time.perf_counter()
                try:
                    answer = await writer.write(
                        question_about(finding, source, writer), lambda _: None
                    )
                except NoAnswer as error:
                    score.failed[error.cause] += 1
                    if error.cause in ("base_model", "bad_model", "not_installed"):
                        return score
                    continue
                score.seconds.append(time.perf_counter() - began_s)
                score.take(f"{snapshot.case.id}, {change}", finding, source, answer)
    finally:
        await writer.close()
    return score


def _questions(finding: Finding) -> Iterator[tuple[str, Finding]]:
    """The finding, with another number in what decided, and without that."""
    yield "as recorded", _explained(finding)
    cited = explain(finding).cites
    for piece, changed in counterfactuals.with_changed_values(finding):
        if piece.id in cited:
            yield f"{piece.name} is {piece.value}", _explained(changed)
            break
    for name, changed in counterfactuals.with_missing_facts(finding):
        if any(piece.name == name and piece.id in cited for piece in finding.evidence):
            yield f"{name} is not known", _explained(changed)
            break


def _explained(finding: Finding) -> Finding:
    return replace(finding, explanation=explain(finding))


async def _score_models(
    models: Sequence[str], snapshots: Sequence[Snapshot], steps: Steps
) -> list[ModelScore]:
    """As many at a time as there are CPUs: each uses one."""
    turns = asyncio.Semaphore(os.cpu_count() or 1)

    async def in_turn(name: str) -> ModelScore:
        async with turns:
            return await score_model(name, snapshots, steps)

    return await asyncio.gather(*map(in_turn, models))


# -- the result ----------------------------------------------------------------------------------


def measure(models: Sequence[str], n_cases: int | None) -> dict[str, Any]:
    about = machine.describe()
    snapshots = recorded()
    rules = score_rules(snapshots)
    asked = snapshots[:n_cases]
    with Steps(len(models) * sum(len(list(_questions(s.finding))) for s in asked)) as steps:
        scores = asyncio.run(_score_models(models, asked, steps))
    return {
        "schema": SCHEMA,
        **about,
        "rules": {
            "n_snapshots": rules.n_snapshots,
            "n_counterfactuals": rules.n_counterfactuals,
            "n_right_cause": rules.n_right_cause,
            "unsupported": rules.unsupported,
            "contradictions": rules.contradictions,
            "not_followed": rules.not_followed,
            "citation_coverage": mean(rules.coverage),
            "median_ms": median(rules.times_ms),
            "max_ms": max(rules.times_ms),
            "target_ms": TARGET_TEXT_MS,
        },
        "models": [_figures(score) for score in scores],
    }


def _figures(score: ModelScore) -> dict[str, Any]:
    return {
        "name": score.name,
        "n_asked": score.n_asked,
        "n_answers": score.n_answers,
        "n_notes": score.n_notes,
        "n_patches": score.n_patches,
        "n_raw_contradictions": score.n_raw_contradictions,
        "n_raw_unsupported": score.n_raw_unsupported,
        "false": score.false,
        "refused": dict(score.refused.most_common()),
        "failed": dict(score.failed.most_common()),
        "median_s": median(score.seconds) if score.seconds else None,
        "median_cpu_s": median(score.cpu_s) if score.cpu_s else None,
        "notes": score.notes,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rules, models = result["rules"], result["models"]

    def share(part: int, whole: int) -> str:
        return f"{part} of {whole}" if whole else "-"

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} s"

    n_texts = rules["n_snapshots"] + rules["n_counterfactuals"]
    rows = [
        ["explained", str(n_texts), *(str(m["n_asked"]) for m in models)],
        [
            "right cause",
            share(rules["n_right_cause"], rules["n_snapshots"]),
            *("by rules" for _ in models),
        ],
        [
            "answers that contradict the verdict",
            str(len(rules["contradictions"])),
            *(share(m["n_raw_contradictions"], m["n_answers"]) for m in models),
        ],
        [
            "answers with numbers that were not measured",
            str(len(rules["unsupported"])),
            *(share(m["n_raw_unsupported"], m["n_answers"]) for m in models),
        ],
        ["did not follow a change", str(len(rules["not_followed"])), *("-" for _ in models)],
        ["numbers cited", f"{rules['citation_coverage']:.0%}", *("-" for _ in models)],
        [
            "passed the checks (gate pass rate)",
            "-",
            *(share(m["n_notes"], m["n_answers"]) for m in models),
        ],
        ["notes shown (note rate)", "-", *(share(m["n_notes"], m["n_asked"]) for m in models)],
        ["of these with a patch", "-", *(str(m["n_patches"]) for m in models)],
        ["false things in notes shown", "-", *(str(len(m["false"])) for m in models)],
        [
            "time, median",
            f"{rules['median_ms']:.2f} ms",
            *(seconds(m["median_s"]) for m in models),
        ],
        ["CPU time, median", "-", *(seconds(m["median_cpu_s"]) for m in models)],
        ["no answer", "-", *(_counted(m["failed"]) for m in models)],
        ["refused by the checks", "-", *(_counted(m["refused"]) for m in models)],
    ]
    return (
        "# How true explanations are\n\n"
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" kernel {result['kernel']}, load before {result['load']}."
        f" {rules['n_snapshots']} findings of the recorded corpus and {rules['n_counterfactuals']}"
        " counterfactuals of them for the rules; for models the findings, the same with another"
        " number, and without what decided, as many models at a time as CPUs. Slowest text by rules"
        f" {rules['max_ms']:.1f} ms (at most {rules['target_ms']:.0f} ms are allowed).\n\n"
        + machine.table(["", "rules", *(m["name"] for m in models)], rows)
    )


def _counted(reasons: dict[str, int]) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in reasons.items())
    return told or "none"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.explain.quality", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME")
    parser.add_argument("--cases", type=int, metavar="N", help="ask models about the first N only")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = measure(options.model, options.cases)
    page = markdown(result)
    print("\n" + page)
    rules = result["rules"]
    wrong = [*rules["unsupported"], *rules["contradictions"], *rules["not_followed"]]
    wrong += [f"{m['name']}: {what}" for m in result["models"] for what in m["false"]]
    for what in wrong:
        print(f"false: {what}")
    machine.save("explain", result, page, options.out)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
