"""What there is to know about a model that is on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A GGUF file.

    Attributes:
        name: as the user says it, and as it is shown beside what the model writes.
        path: absolute.
        sha256: of the file, in hexadecimal digits.
        architecture: as the file says (llama, qwen2, gemma3, …).
        is_instruct: whether it has a chat template: others may not write prose.
        licence: SPDX or words; None when nobody says.
        source: where it is from: a path, a package, a repository of a hub.
        n_parameters: how large it is; None when nobody says.
    """

    name: str
    path: str
    size_bytes: int
    sha256: str
    architecture: str | None
    is_instruct: bool
    licence: str | None
    source: str
    n_parameters: int | None = None
