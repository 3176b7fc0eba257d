"""A language server with eBPF eyes: it finds the line behind a runaway process."""

__version__ = "0.1.0"
