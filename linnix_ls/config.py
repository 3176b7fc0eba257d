"""Settings: one declaration, the same in every editor (`linnix.*`) and on the command line.

Unknown names are ignored and wrong values fall back to the default with a warning, because a
typing mistake in an editor's settings must not switch the tool off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from linnix_ls.core.findings import Kind, Severity

TracerChoice = Literal["auto", "bcc", "psutil"]


class Settings(BaseModel):
    """What a user can set.

    Attributes:
        severity: per kind, a severity or ``off``.
        exclude: globs of paths that are never accused.
        attach_to_jvm: whether a JVM may be asked for its stacks, which starts a thread in it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    enable: bool = True
    tracer: TracerChoice = "auto"
    agent_socket: str | None = None
    severity: dict[Kind, Severity | Literal["off"]] = Field(default_factory=dict)
    min_severity: Severity = Severity.HINT
    exclude: tuple[str, ...] = ()
    watch_workspace_processes: bool = True
    attach_to_jvm: bool = True


def parse_settings(raw: object) -> tuple[Settings, list[str]]:
    """Read settings as an editor sends them (with or without the ``linnix`` wrapper).

    Returns the settings and what was wrong with them, in words.
    """
    if isinstance(raw, dict) and isinstance(raw.get("linnix"), dict):
        raw = raw["linnix"]
    if not isinstance(raw, dict):
        return Settings(), [] if raw is None else ["settings are not an object; defaults are used"]
    problems: list[str] = []
    accepted: dict[str, Any] = dict(raw)
    while True:
        try:
            return Settings.model_validate(accepted), problems
        except ValidationError as error:
            names = {str(detail["loc"][0]) for detail in error.errors()}
            for detail in error.errors():
                where = ".".join(str(part) for part in detail["loc"])
                problems.append(f"linnix.{where}: {detail['msg']}; the default is used")
            accepted = {k: v for k, v in accepted.items() if k not in names}


def default_socket_path() -> Path:
    """Where an agent listens: of the machine for root, else of the user."""
    if os.geteuid() == 0:
        return Path("/run/linnix-ls/agent.sock")
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/linnix-ls-{os.geteuid()}"  # noqa: S108 - the server refuses a folder of others
    return Path(runtime_dir, "linnix-ls", "agent.sock")


def system_socket_path() -> Path:
    """Where an agent that serves all users listens."""
    return Path("/run/linnix-ls/agent.sock")


def cache_dir() -> Path:
    """For what can be made again: kernel headers, compiled probes."""
    if os.geteuid() == 0:
        return Path("/var/cache/linnix-ls")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "linnix-ls")
