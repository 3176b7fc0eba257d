"""Thresholds as settings: any part of `core.policy.Policy`, as JSON, with a range for each.

`{"spin": {"suspicion_cores": 0.9}, "calm_s": 5}`: what is not named keeps its default. The ranges
follow from the units that names end in. They are what keeps an engine well whoever sets them: an
agent, which is privileged, takes thresholds from clients that it need not trust.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, Strict, create_model
from pydantic_core import CoreSchema, core_schema

from linnix_ls.core.policy import Policy

MIN_S = 0.1  # the engine looks around ten times a second
MAX_S = 60.0  # and remembers no more than a minute
MAX_LOOKS_AGAIN = 20
MAX_EXAMINATIONS = 8  # each costs the machine, which others use too, some CPU
MAX_NUMBER = 10**12
MAX_NAME_CHARS = 80

_DEFAULTS = Policy()
GROUPS = {
    field.name: value
    for field in fields(Policy)
    if is_dataclass(value := getattr(_DEFAULTS, field.name))
}


def names() -> list[str]:
    """All of them: `spin.suspicion_cores`, `calm_s`."""
    qualified = []
    for field in fields(Policy):
        group = GROUPS.get(field.name)
        inner = [f"{field.name}.{each.name}" for each in fields(group)] if group else [field.name]
        qualified += inner
    return qualified


def nearest(*steps: str) -> str:
    """The threshold, or group of them, that was probably meant."""
    name = ".".join(steps)[: 2 * MAX_NAME_CHARS]
    elsewhere = [known for known in names() if known.rpartition(".")[2] == steps[-1]]
    known = [*names(), *GROUPS]
    return (elsewhere or difflib.get_close_matches(name, known, n=1, cutoff=0.0))[0]


def changed(policy: Policy) -> dict[str, Any]:
    """What differs from the defaults, as JSON: what `Thresholds` reads."""
    different: dict[str, Any] = {}
    for name in names():
        group, _, last = name.rpartition(".")
        value = getattr(getattr(policy, group) if group else policy, last)
        if value != getattr(GROUPS[group] if group else _DEFAULTS, last):
            within = different.setdefault(group, {}) if group else different
            within[last] = list(value) if isinstance(value, tuple) else value
    return different


def _field(name: str, hint: Any) -> Any:
    """The type of one threshold, with its range."""
    limits: dict[str, Any] = {"gt": 0, "le": MAX_NUMBER}
    if "share" in name:
        limits = {"ge": 0, "le": 1}
    elif re.search(r"(?<!per)(?<!cpu)_s$", name):
        limits = {"ge": MIN_S, "le": MAX_S}
    elif name == "max_examinations":
        limits |= {"le": MAX_EXAMINATIONS}
    if hint is int:
        return Annotated[int, Strict(), Field(**limits)]
    number = Annotated[float, Strict(), Field(allow_inf_nan=False, **limits)]
    if hint is float:
        return number
    return Annotated[list[number], Field(min_length=1, max_length=MAX_LOOKS_AGAIN)]


def _model(defaults: Any) -> type[BaseModel]:
    """Of the policy, or one group of it: nothing is required, nothing else is permitted."""
    hints = get_type_hints(type(defaults))
    members: dict[str, Any] = {
        name: (_model(GROUPS[name]) if name in GROUPS else _field(name, hint), None)
        for name, hint in hints.items()
    }
    config = ConfigDict(extra="forbid")
    return create_model(type(defaults).__name__, __config__=config, **members)


def _policy(parsed: BaseModel) -> Policy:
    def over(defaults: Any, settings: BaseModel) -> Any:
        values = {}
        for name in settings.model_fields_set:
            value = getattr(settings, name)
            if isinstance(value, BaseModel):
                value = over(GROUPS[name], value)
            values[name] = tuple(value) if isinstance(value, list) else value
        return replace(defaults, **values)

    policy: Policy = over(_DEFAULTS, parsed)
    return policy


class _AsSettings:
    """How pydantic reads and writes a `Policy`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        as_json = core_schema.no_info_after_validator_function(
            _policy, handler.generate_schema(_model(_DEFAULTS))
        )
        return core_schema.no_info_before_validator_function(
            lambda value: changed(value) if isinstance(value, Policy) else value,
            as_json,
            serialization=core_schema.plain_serializer_function_ser_schema(changed),
        )


Thresholds = Annotated[Policy, _AsSettings()]
