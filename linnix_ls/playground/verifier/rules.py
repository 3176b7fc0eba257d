"""The rule catalogue (`rules.toml`): which rule a verifier's messages are about."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RULES_FILE = Path(__file__).with_name("rules.toml")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the catalogue; rules.toml says what each field is."""

    id: str
    pattern: re.Pattern[str]
    says: str
    fix: str
    place: str = "last"
    when: str | None = None
    example: str | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """`facts`: the pattern's groups, those that were there."""

    rule: Rule
    message: str
    facts: dict[str, str]


@functools.cache
def catalogue() -> tuple[Rule, ...]:
    """All rules, in order of precedence."""
    with RULES_FILE.open("rb") as file:
        rows = tomllib.load(file)["rule"]
    return tuple(Rule(**row | {"pattern": re.compile(row["pattern"])}) for row in rows)


def match(messages: Sequence[str], holds: Sequence[str] = ()) -> Match | None:
    """The first rule of the catalogue that one of the messages is about.

    Args:
        holds: what is known beside the messages, for rules that ask for it (``when``).
    """
    for rule in catalogue():
        if rule.when is not None and rule.when not in holds:
            continue
        for message in messages:
            if found := rule.pattern.match(message):
                facts = {name: value for name, value in found.groupdict().items() if value}
                return Match(rule, message, facts)
    return None
