"""Measures explanations: how true they are, and what a model that adds to them costs others."""
