"""The kind `cpu_spin`: its detector, and its words."""

from linnix_ls.core.detectors.cpu_spin.detector import CpuSpinDetector as CpuSpinDetector
