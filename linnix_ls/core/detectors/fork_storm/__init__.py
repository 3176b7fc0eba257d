"""The kind `fork_storm`: its detector, and its words."""

from linnix_ls.core.detectors.fork_storm.detector import ForkStormDetector as ForkStormDetector
