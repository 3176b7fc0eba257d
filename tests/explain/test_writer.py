"""Who answers with which settings. Nothing is started for that."""

import pytest

from linnix_ls.config import EndpointSettings, ExplainSettings
from linnix_ls.explain.base import NoAnswer
from linnix_ls.explain.writer import make_writer


def settings(source, **endpoint):
    return ExplainSettings(source=source, endpoint=EndpointSettings(**endpoint))


@pytest.mark.parametrize(
    ("source", "model_path"), [("none", "/x.gguf"), ("rules", "/x.gguf"), ("auto", None)]
)
def test_the_rules_speak_alone(source, model_path):
    assert make_writer(settings(source), model_path) is None


@pytest.mark.parametrize("source", ["auto", "llama"])
def test_a_local_model_writes_no_prose(source):
    writer = make_writer(settings(source), "/x.gguf")
    assert writer.is_local and not writer.writes_prose


def test_a_local_model_must_be_chosen():
    with pytest.raises(NoAnswer) as caught:
        make_writer(settings("llama"), None)
    assert caught.value.cause == "no_model" and "linnix-ls model" in caught.value.fix


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/v1", True),
        ("https://api.example.com/v1", False),
        ("https://127.0.0.1.example.com/v1", False),
        ("http://127.0.0.1@example.com/v1", False),
        ("http://10.0.0.1/v1", False),
    ],
)
def test_an_endpoint_writes_prose_and_is_local_only_on_this_machine(url, is_local):
    writer = make_writer(settings("openai", url=url, model="m"), None)
    assert writer.writes_prose and writer.is_local == is_local


@pytest.mark.parametrize(
    ("url", "model", "missing"),
    [
        (None, "m", "url"),
        ("", "m", "url"),
        ("file:///etc/passwd", "m", "url"),
        ("http://[", "m", "url"),
        ("http://x/v1", None, "model"),
    ],
)
def test_an_endpoint_must_be_complete(url, model, missing):
    with pytest.raises(NoAnswer, match=f"endpoint.{missing} ") as caught:
        make_writer(settings("openai", url=url, model=model), None)
    assert caught.value.cause == "no_model"
