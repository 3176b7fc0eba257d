"""Settings: one declaration, the same in every editor (`linnix.*`) and on the command line.

Unknown names are ignored (but for thresholds, of which there are many) and wrong values fall back
to the default with a warning, because a typing mistake in an editor's settings must not switch
the tool off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from linnix_ls import places
from linnix_ls.core.findings import Kind, Severity
from linnix_ls.core.policy import Policy
from linnix_ls.thresholds import MAX_NAME_CHARS, Thresholds, nearest

# Who reads settings wants these too; who must start fast takes them from there.
cache_dir = places.cache_dir
default_socket_path = places.default_socket_path
system_socket_path = places.system_socket_path

MAX_PROBLEMS_TOLD = 20

TracerChoice = Literal["auto", "bcc", "psutil"]


ExplainSource = Literal["auto", "none", "rules", "llama", "openai"]


class EndpointSettings(BaseModel):
    """An OpenAI-compatible server. Nothing is sent anywhere unless `explain.source` is openai.

    Attributes:
        url: of ``openai``: its URL, up to and including ``/v1``.
        model: of ``openai``: the model, as the server calls it.
        key_env: the environment variable that holds the key for the endpoint.
        key_keyring: the service under which the system's keyring has the key, for the user
            linnix-ls (``keyring set SERVICE linnix-ls``); asked before ``key_env``.
        timeout_s: time for each try, until the first and between two pieces of the answer.
        max_retries: further tries after refusals and broken connections, each after a longer pause.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    url: str | None = None
    model: str | None = None
    key_env: str = "OPENAI_API_KEY"
    key_keyring: str | None = None
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    max_retries: int = Field(default=2, ge=0, le=10)


class ExplainSettings(BaseModel):
    """Who explains findings. The rules always do, unless `source` is none.

    Attributes:
        source: who explains: ``rules``, ``llama`` (and a note by a model on this machine),
            ``openai`` (and a note by an endpoint), ``none``, or ``auto``: ``llama`` where a model
            has been chosen (``linnix-ls model use``), else ``rules``.
        model: of ``llama``: an installed model's name, or the path of a GGUF; default the chosen
            one.
        when: when a model writes: ``idle`` (once no CPU is short), ``at_once``, or ``asked`` (only
            by ``linnix.explain``).
        deadline_s: time for a note; what takes longer is given up.
        memory_mb: memory that the model's process may have; default what a model of its size needs.
        idle_unload_s: without work the model's process is ended after this.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    source: ExplainSource = "auto"
    model: str | None = None
    when: Literal["idle", "at_once", "asked"] = "idle"
    deadline_s: float = Field(default=90.0, gt=0, le=3600)
    memory_mb: int | None = Field(default=None, ge=64)
    idle_unload_s: float = Field(default=120.0, ge=0)
    endpoint: EndpointSettings = EndpointSettings()


class FixSettings(BaseModel):
    """Limits on trying a fix in a copy of the workspace.

    Attributes:
        time_limit_s: time for the test that is run when a fix is tried.
        max_copy_mb: the largest copy of the workspace in which a fix is tried.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    time_limit_s: float = Field(default=120.0, gt=0, le=3600)
    max_copy_mb: int = Field(default=1000, ge=1)


class PlaygroundSettings(BaseModel):
    """Help with probe source (``*.bpf.c``).

    Attributes:
        enable: compile probe source that is opened, show it to the kernel's verifier where an agent
            allows that, and say what is wrong with it; run it where you ask for that, and may.
        clangd: whether clangd looks after probe source too (``on``), so that nothing is told twice;
            ``auto``: where a ``.clangd`` by ``linnix-ls playground clangd`` is found.
        folder: where your copies of linnix-ls's own probes lie, if not in
            ``~/.config/linnix-ls/bpf``; a relative path is in the workspace's first folder, ``~``
            is your home.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    enable: bool = True
    clangd: Literal["auto", "on", "off"] = "auto"
    folder: str | None = None


class Settings(BaseModel):
    """What a user can set.

    What is said of a setting here, and in the classes above, is what VS Code shows of it.

    Attributes:
        enable: watch, and show what is found.
        tracer: where events come from: eBPF (``bcc``), or a degraded view without privilege
            (``psutil``); ``auto`` takes the best that works.
        agent_socket: the agent's socket, if it is not at its usual place.
        severity: per kind, how gravely it is shown, or ``off``: ``{"cpu_spin": "error"}``.
        min_severity: show nothing less grave; counts what a finding was while its process ran.
        exclude: files that are never accused; a relative glob matches the end of a path, ``*``
            matches ``/`` too: ``["vendor/*"]``.
        watch_workspace_processes: also watch processes that start in a workspace folder but not
            below the editor.
        watch_folders: also watch processes that start in one of these folders; a relative path is
            in the workspace's folders, ``~`` is your home.
        notifications: tell of each new finding of severity warning or above in a message as well.
        attach_to_jvm: ask JVMs for thread dumps; the first one starts a thread and a socket in the
            JVM. If not, a Java finding is shown where the process was started.
        thresholds: when something is suspected or reported, any part of it:
            ``{"stuck": {"idle_s": 20}, "calm_s": 5}``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    enable: bool = True
    tracer: TracerChoice = "auto"
    agent_socket: str | None = None
    severity: dict[Kind, Severity | Literal["off"]] = Field(default_factory=dict)
    min_severity: Severity = Severity.HINT
    exclude: tuple[str, ...] = ()
    watch_workspace_processes: bool = True
    watch_folders: tuple[str, ...] = ()
    notifications: bool = False
    attach_to_jvm: bool = True
    thresholds: Thresholds = Policy()
    explain: ExplainSettings = ExplainSettings()
    fixes: FixSettings = FixSettings()
    playground: PlaygroundSettings = PlaygroundSettings()


def parse_settings(raw: object) -> tuple[Settings, list[str]]:
    """Read settings as an editor sends them (with or without the ``linnix`` wrapper).

    Returns the settings and what was wrong with them, in words. What is wrong is left out; what
    stands beside it, in the same object or list, is used.
    """
    if isinstance(raw, dict) and isinstance(raw.get("linnix"), dict):
        raw = raw["linnix"]
    if not isinstance(raw, dict):
        return Settings(), [] if raw is None else ["settings are not an object; defaults are used"]
    settings, mistakes = _parse(raw)
    problems = [
        f"linnix.{mistake.where}: {mistake.what}; {mistake.instead}"
        for mistake in mistakes[:MAX_PROBLEMS_TOLD]
    ]
    more = len(mistakes) - MAX_PROBLEMS_TOLD
    return settings, [*problems, *([f"and {more} more"] if more > 0 else [])]


def parse_thresholds(raw: dict[str, Any]) -> tuple[Policy, list[str]]:
    """Read `Settings.thresholds` alone; what was wrong, in words for who will correct it."""
    settings, mistakes = _parse({"thresholds": raw})
    return settings.thresholds, [
        f"{mistake.where.removeprefix('thresholds.')}: {mistake.what}" for mistake in mistakes
    ]


@dataclass(frozen=True, slots=True)
class _Mistake:
    """What is wrong in some settings, and what is done about it."""

    where: str
    what: str
    instead: str


def _parse(raw: dict[str, Any]) -> tuple[Settings, list[_Mistake]]:
    mistakes: list[_Mistake] = []
    accepted: Any = raw
    while True:
        try:
            return Settings.model_validate(accepted), mistakes
        except ValidationError as error:
            wrong: dict[_Path, list[ErrorDetails]] = {}
            for detail in error.errors(include_url=False):
                wrong.setdefault(_path_within(accepted, detail["loc"]), []).append(detail)
            mistakes += [_mistake(path, details) for path, details in wrong.items()]
            # From behind, so that positions in a list stay what they are.
            for path in reversed(wrong):
                accepted = _without(accepted, path)


_Path = tuple[int | str, ...]


def _path_within(value: Any, loc: _Path) -> _Path:
    """The part of an error's place that leads through `value`; pydantic adds names of its own."""
    path: list[int | str] = []
    for step in loc:
        if isinstance(value, dict):
            if step not in value:
                break
        elif not (isinstance(value, list | tuple) and isinstance(step, int)):
            break
        value = value[step]
        path.append(step)
    return tuple(path)


def _without(value: Any, path: _Path) -> Any:
    """A copy in which that is left out; what it shares with `value` stays untouched."""
    step, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[step] = _without(copy[step], tuple(rest))
    else:
        del copy[step]
    return copy


def _mistake(path: _Path, details: list[ErrorDetails]) -> _Mistake:
    steps = [str(step)[:MAX_NAME_CHARS] for step in path]
    is_left_out = isinstance(path[-1], int)
    if all(detail["type"] == "extra_forbidden" for detail in details):
        is_left_out = True
        what = f"there is none; did you mean {nearest(*steps[1:])}"
    else:
        # Of a value that may be one of several things: why it is none of them.
        what = " or ".join(dict.fromkeys(detail["msg"] for detail in details))
    instead = "it is left out" if is_left_out else "the default is used"
    return _Mistake(".".join(steps), what, instead)


def agent_socket_paths(settings: Settings) -> list[Path]:
    """Where an agent is looked for, the best first."""
    return places.socket_paths(settings.agent_socket)
