"""vscode-extension/package.json and the docs have the settings that config.py declares."""

import json

import pytest

from linnix_ls.config import Settings, parse_settings
from linnix_ls.generate_extension_settings import MANIFEST, configuration, manifest
from linnix_ls.generate_settings_tables import PAGES
from linnix_ls.generate_settings_tables import page as fresh_page

PROPERTIES = configuration()["properties"]


def test_the_manifest_is_what_the_generator_writes():
    text = MANIFEST.read_text()
    assert manifest(text) == text, "run `make generate`"


@pytest.mark.parametrize(("page", "settings"), PAGES.items(), ids=lambda each: str(each)[-20:])
def test_the_tables_in_the_docs_are_what_the_generator_writes(page, settings):
    text = page.read_text()
    assert fresh_page(text, settings) == text, "run `make generate`"


def test_a_page_without_a_place_for_the_table_is_an_error():
    with pytest.raises(ValueError, match="no place"):
        fresh_page("# A page", {})


def nested(names_and_values):
    tree = {}
    for name, value in names_and_values:
        *steps, last = name.removeprefix("linnix.").split(".")
        inner = tree
        for step in steps:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return tree


def test_the_defaults_are_those_of_the_server():
    sent = nested((name, setting["default"]) for name, setting in PROPERTIES.items())
    assert parse_settings(sent) == (Settings(), [])


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_setting_has_a_type_and_words(name):
    setting = PROPERTIES[name]
    assert setting["type"]
    assert setting["markdownDescription"].endswith(".")


@pytest.mark.parametrize("name", [name for name in PROPERTIES if "enum" in PROPERTIES[name]])
def test_every_choice_is_one_that_the_server_takes(name):
    for choice in PROPERTIES[name]["enum"]:
        assert parse_settings(nested([(name, choice)]))[1] == []


def test_severities_are_by_kind_and_no_other_name_is_offered():
    severity = PROPERTIES["linnix.severity"]
    assert severity["additionalProperties"] is False
    for kind, values in severity["properties"].items():
        for value in values["enum"]:
            assert parse_settings({"severity": {kind: value}})[1] == []


def test_what_names_programs_or_servers_does_not_count_in_an_untrusted_workspace():
    restricted = json.loads(MANIFEST.read_text())["capabilities"]["untrustedWorkspaces"][
        "restrictedConfigurations"
    ]
    wanted = {"path", "interpreter", "agent_socket", "watch_folders", "explain.model"}
    wanted |= {"explain.endpoint.url", "explain.source"}
    assert {f"linnix.{name}" for name in wanted} <= set(restricted) <= PROPERTIES.keys()
