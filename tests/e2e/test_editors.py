"""Where it is promised that two versions of an editor are tested, two are."""

import os
import platform
from pathlib import Path

import pytest

from tests.e2e import editors


@pytest.mark.e2e
@pytest.mark.ebpf
def test_each_editor_is_tried_in_two_versions_where_both_can_be_had():
    is_debian_12 = "VERSION_CODENAME=bookworm" in Path("/etc/os-release").read_text().split()
    if "TEST_NVIM" not in os.environ and platform.machine() == "x86_64":
        assert len(editors.NEOVIMS) == 2
    if "TEST_EMACS" not in os.environ and is_debian_12:
        assert len(editors.EMACSES) == 2
