import contextlib
import random
import struct
import sysconfig
from pathlib import Path

import pytest

from linnix_ls.models.gguf import ARCHITECTURES, BadModelFile, Header, read_header
from tests.models.files import ANSWERING, BASE, gguf


def header_of(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_header(path)


def refusal_of(tmp_path, content):
    with pytest.raises(BadModelFile) as refused:
        header_of(tmp_path, content)
    assert refused.value.fix
    return refused.value.message.replace(str(tmp_path), "")


def test_what_the_file_says_of_itself(tmp_path):
    vocabulary = {"tokenizer.ggml.tokens": ["a", "bc", ""], "llama.context_length": 2048}
    assert header_of(tmp_path, gguf(vocabulary | ANSWERING)) == Header(
        architecture="llama",
        n_parameters=64,
        has_chat_template=True,
        name="Tiny 1M Instruct",
        licence="apache-2.0",
        size_label=None,
    )


def test_a_base_model_has_no_chat_template(tmp_path):
    assert not header_of(tmp_path, gguf(BASE)).has_chat_template


def test_something_else_is_no_gguf(tmp_path):
    for content in (b"", b"GG", b"<!doctype html>", b"FUGG" + bytes(100)):
        assert "is not a GGUF file" in refusal_of(tmp_path, content)


def test_a_file_that_ends_too_early_is_refused_wherever_it_ends(tmp_path):
    whole = gguf()
    for n_bytes in range(4, len(whole), 7):
        assert "model.gguf" in refusal_of(tmp_path, whole[:n_bytes])
    assert "60 bytes of its weights are missing" in refusal_of(tmp_path, whole[:-60])


def test_an_architecture_that_llama_cpp_does_not_know_is_named(tmp_path):
    refused = refusal_of(tmp_path, gguf(ANSWERING | {"general.architecture": "wonder9"}))
    assert "of the kind 'wonder9', which this llama.cpp does not know" in refused


def test_one_piece_of_a_split_model_is_refused(tmp_path):
    pieces = struct.pack("<IH", 2, 3)
    refused = refusal_of(tmp_path, gguf(ANSWERING | {"split.count": pieces}))
    assert "it is one of 3 pieces" in refused


HUGE = 2**64 - 1


@pytest.mark.parametrize(
    "content",
    [
        gguf(version=99),
        gguf(version=1),
        gguf(n_tensors=HUGE),
        gguf(n_values=HUGE),
        gguf(n_tensors=0),
        gguf({"general.architecture": struct.pack("<IQ", 8, HUGE)}),
        gguf(ANSWERING | {"list": struct.pack("<IIQ", 9, 8, HUGE)}),
        gguf(ANSWERING | {"list": struct.pack("<IIQ", 9, 4, HUGE)}),
        gguf(ANSWERING | {"list": struct.pack("<IIQ", 9, 9, 3)}),
        gguf(ANSWERING | {"kind": struct.pack("<I", 77)}),
        gguf({"general.name": "nothing else"}),
        gguf(n_elements=HUGE, weights=b""),
    ],
    ids=range(12),
)
def test_claims_that_no_file_could_keep_are_refused(tmp_path, content):
    assert refusal_of(tmp_path, content)


def test_no_damage_does_more_than_to_be_refused(tmp_path):
    chance = random.Random(4)
    whole = gguf(ANSWERING | {"tokenizer.ggml.tokens": ["a"] * 20})
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(4, len(whole))] = chance.randrange(256)
        with contextlib.suppress(BadModelFile):
            header_of(tmp_path, bytes(damaged))


@pytest.mark.e2e
def test_the_architectures_are_those_of_the_llama_cpp_that_is_installed():
    library = Path(sysconfig.get_path("purelib"), "llama_cpp/lib/libllama.so").read_bytes()
    assert [name for name in sorted(ARCHITECTURES) if name.encode() + b"\0" not in library] == []
