"""Fixes that are tried before they are offered: proposed, run in a copy, seen to work."""
