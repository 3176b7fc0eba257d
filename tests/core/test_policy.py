"""Thresholds and the reasons for them."""

import re
from dataclasses import fields

import pytest

from linnix_ls.core import policy

CLASSES = [
    value
    for value in vars(policy).values()
    if isinstance(value, type) and value.__module__ == policy.__name__
]


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_each_threshold_has_its_reason(of):
    groups = {field.name for field in fields(of) if isinstance(field.default, tuple(CLASSES))}
    names = {field.name for field in fields(of)} - groups
    told = re.findall(r"^ *`?(\w+(?:, \w+)*)`?: +\S", of.__doc__, re.MULTILINE)
    assert names <= {name for line in told for name in line.split(", ")}


def test_all_groups_are_part_of_the_policy():
    assert {field.type for field in fields(policy.Policy)} >= {
        of.__name__ for of in CLASSES if of is not policy.Policy
    }
