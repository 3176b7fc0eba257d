"""What a GGUF file says about itself: the header, not the weights.

A reader of our own, because the `gguf` package builds a Python list for each token of the
vocabulary, needs numpy and trusts every count in the file. This one skips what it does not need,
believes no number that the file's size cannot hold, and takes 30 ms for a vocabulary of 260,000.
The layout is in ggml's docs/gguf.md.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from math import prod

from linnix_ls.errors import LinnixError

# Far above what models have (a thousand tensors, fifty values), and quick to walk through.
MAX_TENSORS = 100_000
MAX_VALUES = 10_000
MAX_DIMENSIONS = 4
# Vocabularies take 2 to 15 MB. Read, not mapped: a file that shrinks meanwhile must not kill us.
MAX_HEADER_BYTES = 64 << 20
# Of a text that is kept: names and licences. A chat template is only looked for.
MAX_TEXT_BYTES = 300

_STRING, _ARRAY = 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
# (elements, bytes) of a block, by ggml's number of the type. Sizes of rarer types are not checked.
_BLOCK_SIZES = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    20: (32, 18),  # IQ4_NL
    23: (256, 136),  # IQ4_XS
    30: (1, 2),  # BF16
}

# What llama.cpp can load, as of the llama-cpp-python that pyproject.toml pins. A test compares.
ARCHITECTURES = frozenset(
    "llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert modern-bert"
    " nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert bloom stablelm qwen"
    " qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next qwen3vl qwen3vlmoe qwen35 qwen35moe qwen4exp"
    " phi2 phi3 phimoe plamo plamo2 plamo3 codeshell orion internlm2 minicpm minicpm3 gemma gemma2"
    " gemma3 gemma3n gemma4 gemma4-assistant gemma-embedding starcoder2 mamba mamba2 maple jamba"
    " falcon-h1 xverse command-r cohere2 cohere2moe dbrx olmo olmo2 olmoe muse-glimmer openelm"
    " arctic deepseek deepseek2 deepseek2-ocr deepseek32 deepseek4 chatglm glm4 glm4moe glm-dsa"
    " bitnet t5 t5encoder jais jais2 nemotron nemotron_h nemotron_h_moe exaone exaone4 exaone-moe"
    " rwkv6 rwkv6qwen2 rwkv7 arwkv7 granite granitemoe granitehybrid graniteswitch granite_swa"
    " chameleon wavtokenizer-dec plm bailingmoe bailingmoe2 bailingmoe3 dots1 dots3note arcee afmoe"
    " laguna ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense hunyuan_vl hy_v3 hy_v4 smollm3 gpt-oss"
    " lfm2 lfm2moe dream smallthinker llada llada-moe seed_oss grovemoe apertus minimax-01 hrm_text"
    " minimax-m2 minimax-m3 cogvlm rnd1 pangu-embedded mistral3 eagle3 dflash mistral4 paddleocr"
    " mimo2 step35 spark2_5 llama-embed maincoder kimi-linear kimi-k3 glm5-next talkie mellum"
    " nanbeige qwen3tts pockettts".split()
)

_OTHER_COPY = "get the file again, or another one: `linnix-ls model list` names some"


class BadModelFile(LinnixError):
    """Not a GGUF, not a whole one, or one that llama.cpp does not load."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a model without loading it.

    Attributes:
        n_parameters: of all tensors.
        has_chat_template: only models that were taught to answer have one.
        name, licence, size_label: in the words of who made the file.
    """

    architecture: str
    n_parameters: int
    has_chat_template: bool
    name: str | None
    licence: str | None
    size_label: str | None


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check it.

    Raises:
        BadModelFile: llama.cpp would not load it.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, MAX_HEADER_BYTES))
    if not content.startswith(b"GGUF"):
        raise BadModelFile(f"{path} is not a GGUF file", fix=_OTHER_COPY)
    try:
        header = _read(content, size)
    except struct.error:
        what = f"it ends after {size:,} bytes, within its header"
        raise BadModelFile(f"{path} is not whole: {what}", fix=_OTHER_COPY) from None
    except _Damaged as damage:
        raise BadModelFile(f"{path} cannot be used: {damage}", fix=_OTHER_COPY) from None
    if header.architecture not in ARCHITECTURES:
        raise BadModelFile(
            f"{path} is a model of the kind {header.architecture!r}, which this llama.cpp does not"
            " know",
            fix="take another model: `linnix-ls model list` names some",
        )
    return header


class _Damaged(Exception):
    """What is wrong, for behind a colon."""


class _Cursor:
    """Reads on from where it is; nothing beyond the end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 4  # behind the magic

    def number(self, code: str) -> int:
        value: int = struct.unpack_from("<" + code, self.content, self.at)[0]
        self.at += struct.calcsize("<" + code)
        return value

    def skip(self, n_bytes: int) -> None:
        if n_bytes > len(self.content) - self.at:
            raise _Damaged("something in its header is longer than the file")
        self.at += n_bytes

    def text(self) -> str:
        n_bytes = self.number("Q")
        start = self.at
        self.skip(n_bytes)
        return self.content[start : start + min(n_bytes, MAX_TEXT_BYTES)].decode(errors="replace")

    def value(self) -> object:
        """A text or a number; None for what is not needed."""
        kind = self.number("I")
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            self._skip_array()
            return None
        if kind not in _SCALAR_BYTES:
            raise _Damaged(f"it has a value of the unknown kind {kind}")
        if kind == 4:  # of these are alignment and the number of files
            return self.number("I")
        if kind == 2:
            return self.number("H")
        self.skip(_SCALAR_BYTES[kind])
        return None

    def _skip_array(self) -> None:
        kind, length = self.number("I"), self.number("Q")
        if kind in _SCALAR_BYTES:
            self.skip(length * _SCALAR_BYTES[kind])
        elif kind != _STRING:
            raise _Damaged(f"it has a list of the unknown kind {kind}")
        elif length > (len(self.content) - self.at) // 8:
            raise _Damaged("a list in its header is longer than the file")
        else:
            for _ in range(length):
                self.skip(self.number("Q"))


def _read(content: bytes, size: int) -> Header:
    cursor = _Cursor(content)
    version = cursor.number("I")
    if version not in (2, 3):
        raise _Damaged(f"version {version} of the format is unknown")
    n_tensors, n_values = cursor.number("Q"), cursor.number("Q")
    if n_tensors > MAX_TENSORS or n_values > MAX_VALUES:
        raise _Damaged(f"it claims to have {n_tensors:,} tensors and {n_values:,} values")
    values: dict[str, object] = {}
    for _ in range(n_values):
        name = cursor.text()
        values[name] = cursor.value()

    n_parameters = data_bytes = 0
    for _ in range(n_tensors):
        cursor.text()
        n_dimensions = cursor.number("I")
        if n_dimensions > MAX_DIMENSIONS:
            raise _Damaged(f"a tensor has {n_dimensions} dimensions")
        n_elements = prod(cursor.number("Q") for _ in range(n_dimensions))
        kind, offset = cursor.number("I"), cursor.number("Q")
        elements, block_bytes = _BLOCK_SIZES.get(kind, (1, 0))
        data_bytes = max(data_bytes, offset + n_elements // elements * block_bytes)
        n_parameters += n_elements
    alignment = values.get("general.alignment")
    alignment = alignment if isinstance(alignment, int) and alignment else 32
    data_start = -(-cursor.at // alignment) * alignment
    if not n_tensors:
        raise _Damaged("it has no weights")
    if data_start + data_bytes > size:
        raise _Damaged(f"{data_start + data_bytes - size:,} bytes of its weights are missing")

    def text(name: str) -> str | None:
        value = values.get(name)
        return value.strip() or None if isinstance(value, str) else None

    n_files = values.get("split.count")
    if isinstance(n_files, int) and n_files > 1:
        raise _Damaged(f"it is one of {n_files} pieces (`llama-gguf-split --merge` joins them)")
    architecture = text("general.architecture")
    if architecture is None:
        raise _Damaged("it does not say what kind of model it is")
    return Header(
        architecture=architecture,
        n_parameters=n_parameters,
        has_chat_template=bool(text("tokenizer.chat_template")),
        name=text("general.name"),
        licence=text("general.license"),
        size_label=text("general.size_label"),
    )
