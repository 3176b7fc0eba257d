"""Measures explanations: whether what they say is true, without asking anybody."""
