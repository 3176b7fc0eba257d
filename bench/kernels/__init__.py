"""The probes on kernels other than this machine's: `python -m bench.kernels`."""
