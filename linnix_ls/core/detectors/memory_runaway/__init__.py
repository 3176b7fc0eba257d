"""The kind `memory_runaway`: its detector, and its words."""

from linnix_ls.core.detectors.memory_runaway.detector import (
    MemoryRunawayDetector as MemoryRunawayDetector,
)
