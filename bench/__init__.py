"""Measures the product: how soon a diagnostic comes, and how often it is right.

Not part of the package, and nothing in it may be used to tune on a single case.
"""
