"""What a model may add to an explanation: asked in a process of its own, and checked."""
