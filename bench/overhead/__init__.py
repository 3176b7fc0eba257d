"""What watching costs the work that is watched, beside other tools: `python -m bench.overhead`."""
