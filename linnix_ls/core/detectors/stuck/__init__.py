"""The kind `stuck`: its detector, and its words."""

from linnix_ls.core.detectors.stuck.detector import StuckDetector as StuckDetector
from linnix_ls.core.detectors.stuck.detector import hopeless as hopeless
