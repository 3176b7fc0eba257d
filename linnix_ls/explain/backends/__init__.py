"""Kinds of models, as the worker sees them. Imported by the worker's process only: what they import
in turn is large, foreign, and may print, hang or crash."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from linnix_ls.explain.base import NoAnswer, Prompt

# How libraries word it, where they say it at all.
NO_MEMORY = re.compile(
    r"insufficient memory|cannot allocate memory|failed to allocate|unable to allocate|bad_alloc"
    r"|MemoryError|thread creation failed|can't start new thread|failed to map segment",
    re.IGNORECASE,
)


class Backend(Protocol):
    """One model. Its methods are never called while another one runs.

    Attributes:
        works_here: whether this process's CPU time is what an answer costs.
    """

    works_here: bool

    async def load(self) -> str:
        """Get ready, if it is not. Returns the model's name, harmless and short.

        Raises:
            NoAnswer: it cannot be had; the process is of no more use.
        """
        ...

    async def answer(self, prompt: Prompt, on_text: Callable[[str], None]) -> None:
        """Ask. Cancelling leaves the backend ready for the next question.

        Args:
            on_text: called with each piece of the answer; on any thread.

        Raises:
            NoAnswer: not this time.
        """
        ...


def out_of_memory(name: str) -> NoAnswer:
    """That this model's process could not get the memory it asked for."""
    return NoAnswer(
        f"{name} needs more memory than it may have, or than there is",
        fix="choose a smaller model (linnix-ls model list), or raise linnix.explain.memory_mb",
        cause="out_of_memory",
    )
