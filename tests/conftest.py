"""Which tests can run here, and the rule that none may be left out where all can.

On a machine with root and BTF a skipped test counts as failed: there, "skipped" could only hide
that the real thing was not tried.
"""

import os
from pathlib import Path

import pytest

HAS_ROOT_AND_BTF = os.geteuid() == 0 and Path("/sys/kernel/btf/vmlinux").exists()


def pytest_collection_modifyitems(items):
    if HAS_ROOT_AND_BTF:
        return
    for item in items:
        if "ebpf" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs root and a kernel with BTF"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if HAS_ROOT_AND_BTF and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped on a machine with root and BTF: {call.excinfo.value}"
    return report
