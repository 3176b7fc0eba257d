"""Models on this machine: where they come from, which there are, which one is in use."""
