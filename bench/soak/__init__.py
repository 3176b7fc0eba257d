"""An hour of mixed load on one agent: whether anything of it grows (`python -m bench.soak`)."""
