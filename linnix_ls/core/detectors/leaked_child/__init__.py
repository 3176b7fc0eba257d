"""The kind `leaked_child`: its detector, and its words."""

from linnix_ls.core.detectors.leaked_child.detector import (
    LeakedChildDetector as LeakedChildDetector,
)
