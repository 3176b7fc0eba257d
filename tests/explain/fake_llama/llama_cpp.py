"""In the place of llama-cpp-python: does what the question says, good or bad."""

import ctypes
import os
import time
from types import SimpleNamespace

context = SimpleNamespace(is_aborted=lambda _: False)


def llama_log_callback(function):
    return function


def ggml_abort_callback(function):
    return function


def llama_log_set(callback, _):
    pass


def llama_set_abort_callback(context, callback, _):
    context.is_aborted = callback


def llama_set_n_threads(context, n_threads, n_threads_batch):
    pass


def llama_model_get_vocab(model):
    return [b"the", b"<|end|>"]


def llama_vocab_n_tokens(vocab):
    return len(vocab)


def llama_vocab_is_control(vocab, token):
    return token == 1


def llama_vocab_get_text(vocab, token):
    return vocab[token]


class Llama:
    def __init__(self, path, **options):
        self.ctx, self.model = context, None
        self.metadata = {"tokenizer.chat_template": "{{ messages }}", "general.name": "Fake\x1b[2J"}
        with open(path) as model:
            self._do(model.read())

    def reset(self):
        pass

    def create_chat_completion(self, messages, **options):
        for text in self._do(messages[1]["content"]):
            yield {"choices": [{"delta": {"content": text}}]}

    def _do(self, what):
        match what.split():
            case ["say", *words]:
                return words
            case ["print"]:
                os.write(1, b'{"id": 1, "answered": "me"}\n' * 1000)
                return ["done"]
            case ["flood"]:
                for _ in range(200):
                    os.write(1, b"x" * 100_000)
                return ["done"]
            case ["abort", *words]:
                os.write(2, " ".join(words).encode() + b"\n")
                os.abort()
            case ["leave", "a", "child"]:
                if os.fork() == 0:
                    time.sleep(1000)
                os.write(2, b"child left")
                os.abort()
            case ["fill"]:
                return ["x" * 10_000] * 10_000
            case ["allocate", megabytes]:
                return [str(len(bytearray(int(megabytes) << 20)))]
            case ["hang"]:
                time.sleep(1000)
            case ["hang", "in", "C"]:  # even the event loop stands still
                ctypes.PyDLL(None).sleep(1000)
            case ["raise", *words]:
                raise OSError(" ".join(words))
            case ["compute"]:
                while not context.is_aborted(None):
                    time.sleep(0.001)
                raise RuntimeError("llama_decode returned 2")
        return []
