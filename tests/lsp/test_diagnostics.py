from dataclasses import replace

import pytest

from linnix_ls.config import Settings
from linnix_ls.core.findings import Kind, Severity, State
from linnix_ls.lsp.diagnostics import Publications, is_excluded, shown_severity
from tests.lsp.memory_feed import a_finding


class TestShownSeverity:
    @pytest.mark.parametrize(
        ("settings", "state", "shown"),
        [
            (Settings(), State.RAISED, Severity.WARNING),
            (Settings(), State.ENDED, Severity.INFORMATION),
            (Settings(), State.CLEARED, None),
            (Settings(severity={Kind.CPU_SPIN: "off"}), State.RAISED, None),
            (Settings(severity={Kind.FORK_STORM: "off"}), State.RAISED, Severity.WARNING),
            (Settings(severity={Kind.CPU_SPIN: Severity.ERROR}), State.RAISED, Severity.ERROR),
            (Settings(severity={Kind.CPU_SPIN: Severity.HINT}), State.ENDED, Severity.HINT),
            (Settings(min_severity=Severity.ERROR), State.RAISED, None),
            (Settings(min_severity=Severity.WARNING), State.ENDED, Severity.INFORMATION),
            (Settings(exclude=("vendor/*",)), State.RAISED, Severity.WARNING),
            (Settings(exclude=("nowhere/*",)), State.RAISED, None),
        ],
    )
    def test_follows_the_settings_and_the_state(self, settings, state, shown):
        assert shown_severity(a_finding(state=state), settings) == shown

    def test_a_finding_without_a_file_cannot_be_excluded(self):
        finding = a_finding(path=None)
        assert shown_severity(finding, Settings(exclude=("*",))) is Severity.WARNING

    @pytest.mark.parametrize(
        ("glob", "matches"),
        [
            ("*.py", True),
            ("**/site/*.py", True),
            ("site/pump.py", True),
            ("/w/site/*", True),
            ("/site/*", False),
            ("ite/pump.py", False),
            ("*.js", False),
            ("", False),
        ],
    )
    def test_globs_match_whole_paths_or_their_ends(self, glob, matches):
        assert is_excluded("/w/site/pump.py", [glob]) is matches


class TestPublications:
    def test_the_first_change_is_due_at_once(self):
        publications = Publications()
        publications.want({"u": ["a"]})
        assert publications.next_due_s() == float("-inf")
        assert publications.take_due(100.0) == {"u": ["a"]}
        assert publications.next_due_s() is None

    def test_what_the_client_knows_is_not_said_again(self):
        publications = Publications()
        publications.want({"u": ["a"], "v": ["b"]})
        publications.take_due(0.0)
        publications.want({"u": ["a"], "v": ["c"]})
        assert publications.take_due(10.0) == {"v": ["c"]}

    def test_changes_that_follow_quickly_are_merged(self):
        publications = Publications(min_interval_s=0.25)
        publications.want({"u": ["a"]})
        publications.take_due(0.0)
        for text in "bcd":
            publications.want({"u": [text]})
            assert publications.take_due(0.1) == {}
        assert publications.next_due_s() == 0.25
        assert publications.take_due(0.25) == {"u": ["d"]}

    def test_a_change_that_is_taken_back_in_time_is_never_said(self):
        publications = Publications(min_interval_s=0.25)
        publications.want({"u": ["a"]})
        publications.take_due(0.0)
        publications.want({"u": ["b"]})
        publications.want({"u": ["a"]})
        assert publications.next_due_s() is None

    def test_a_uri_without_diagnostics_is_cleared_once(self):
        publications = Publications()
        publications.want({"u": ["a"]})
        publications.take_due(0.0)
        publications.want({})
        assert publications.take_due(1.0) == {"u": []}
        assert publications.take_due(2.0) == {}

    def test_an_empty_list_is_no_news_for_a_uri_that_never_had_any(self):
        publications = Publications()
        publications.want({"u": []})
        assert publications.take_due(0.0) == {}

    def test_one_busy_uri_does_not_delay_another(self):
        publications = Publications(min_interval_s=0.25)
        publications.want({"u": ["a"]})
        publications.take_due(0.0)
        publications.want({"u": ["b"], "v": ["c"]})
        assert publications.take_due(0.1) == {"v": ["c"]}


def test_findings_compare_by_value_so_that_equal_ones_are_no_news():
    finding = a_finding()
    assert replace(finding) == finding
