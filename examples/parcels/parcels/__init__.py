"""Prints shipping labels."""
