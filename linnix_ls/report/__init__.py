"""Findings for people and programs: text for a terminal, the findings document, SARIF.

Pure apart from reading the source lines that are shown. Where it is written to, and when, is
decided in `cli`.
"""
