"""A GGUF file in this process, through llama-cpp-python. Nothing leaves the machine.

The library is not thread-safe (two threads in one model abort the process), so all calls are made
on one thread, which is not the event loop's: that one must hear of a cancellation meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil

from linnix_ls.core.text import visible
from linnix_ls.explain.backends import NO_MEMORY, out_of_memory
from linnix_ls.explain.base import NoAnswer, Prompt

# A prompt is about 1,000 tokens. The cache for more would cost memory that nobody uses: 57 kB a
# token in a model of 7 billion parameters.
CONTEXT_TOKENS = 4096
# Of the prompt at a time. Twice as many are no faster (measured), but the library keeps so many
# rows of numbers, each as long as the vocabulary.
BATCH_TOKENS = 256
MAX_NAME_CHARS = 60
MAX_REASON_CHARS = 300
# Share of the last ten seconds in which some task waited for a CPU (PSI), below which the machine
# counts as idle.
IDLE_PRESSURE_PERCENT = 5.0

# ggml's levels. The binding's table is off by one: with it, errors are hidden.
_LOG_WARNING, _LOG_ERROR, _LOG_CONTINUED = 3, 4, 5
_LOG_PREFIX = re.compile(r"^\w+: (error loading model: )?")
_T = TypeVar("_T")


class LlamaBackend:
    """See `Backend`.

    Args:
        name: to show instead of the one that the file gives itself.
        memory_mb: that this process may have.
    """

    works_here = True

    def __init__(self, model_path: str, name: str | None, memory_mb: int) -> None:
        self._path = model_path
        self._name = visible(name or Path(model_path).stem, MAX_NAME_CHARS)
        self._takes_name_of_file = name is None
        self._memory_mb = memory_mb
        self._library: Any = None
        self._model: Any = None
        self._control_tokens: re.Pattern[str] | None = None
        self._errors: deque[str] = deque(maxlen=20)
        self._is_cancelled = False
        self._thread = ThreadPoolExecutor(1)

    async def load(self) -> str:
        if self._model is None:
            await self._run(self._load)
        return self._name

    async def answer(self, prompt: Prompt, on_text: Callable[[str], None]) -> None:
        await self._run(lambda: self._answer(prompt, on_text))

    async def _run(self, function: Callable[[], _T]) -> _T:
        """On the model's thread. If cancelled, returns when that thread is free again."""
        self._is_cancelled = False
        call = asyncio.get_running_loop().run_in_executor(self._thread, function)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            self._is_cancelled = True
            await asyncio.wait([call])
            call.exception()  # is of no more interest
            raise

    def _load(self) -> None:
        self._refuse_what_does_not_fit()
        # OpenMP's threads wait by spinning else, and take the CPU from those that work.
        os.environ["OMP_WAIT_POLICY"] = "passive"
        # On an abort ggml starts a helper for a backtrace, which then waits for ever.
        os.environ["GGML_NO_BACKTRACE"] = "1"
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        self._library = library = _import_library(self._name)
        self._log_callback = library.llama_log_callback(self._on_log)  # ctypes keeps no reference
        library.llama_log_set(self._log_callback, None)
        try:
            model = library.Llama(
                self._path,
                n_ctx=CONTEXT_TOKENS,
                n_batch=BATCH_TOKENS,
                n_ubatch=BATCH_TOKENS,
                n_threads=1,
                n_threads_batch=1,
                verbose=True,  # else it closes stderr for a while, and last words are lost
            )
        except (ValueError, RuntimeError, UnicodeDecodeError, AssertionError) as error:
            raise self._why_not_loaded(error) from None
        if self._takes_name_of_file:
            metadata = model.metadata
            own = metadata.get("general.name") or metadata.get("general.basename") or self._name
            self._name = visible(own, MAX_NAME_CHARS)
        if "tokenizer.chat_template" not in model.metadata:
            raise NoAnswer(
                f"{self._name} is a base model: it continues texts and does not answer questions "
                "(there is no chat template in its file)",
                fix="choose an instruct model: linnix-ls model list",
                cause="base_model",
            )
        self._control_tokens = _control_tokens(library, model)
        self._abort_callback = library.ggml_abort_callback(lambda _: self._is_cancelled)
        library.llama_set_abort_callback(model.ctx, self._abort_callback, None)
        self._model = model

    def _refuse_what_does_not_fit(self) -> None:
        """Before the machine has swapped for minutes to find out."""
        try:
            size_mb = os.path.getsize(self._path) / 1e6
        except OSError as error:
            raise NoAnswer(
                f"the model {self._name} cannot be read: {error.strerror}",
                fix="linnix-ls model list tells which models there are",
                cause="bad_model",
            ) from None
        if size_mb > self._memory_mb or size_mb > psutil.virtual_memory().available / 1e6:
            raise out_of_memory(self._name)

    def _why_not_loaded(self, error: Exception) -> NoAnswer:
        said = "\n".join([*self._errors, str(error)])
        if NO_MEMORY.search(said):
            return out_of_memory(self._name)
        # The first one says why, those after it that it therefore failed.
        reason = _LOG_PREFIX.sub("", next(iter(self._errors), str(error)))
        return NoAnswer(
            f"the model {self._name} cannot be loaded: {visible(reason, MAX_REASON_CHARS)}",
            fix="install it anew (linnix-ls model install), or choose another one "
            "(linnix-ls model list)",
            cause="bad_model",
        )

    def _on_log(self, level: int, text: bytes, _context: Any) -> None:
        # An exception here would be printed and dropped by ctypes: nothing in it can raise.
        line = text.decode(errors="replace")
        if level == _LOG_ERROR:
            self._errors.append(line.strip())
        if level in (_LOG_WARNING, _LOG_ERROR, _LOG_CONTINUED):
            sys.stderr.write(line)

    def _answer(self, prompt: Prompt, on_text: Callable[[str], None]) -> None:
        library, model = self._library, self._model
        library.llama_set_n_threads(model.ctx, 1, _n_prefill_threads())
        try:
            for chunk in self._chunks(prompt):
                if self._is_cancelled:
                    break
                if text := chunk["choices"][0]["delta"].get("content"):
                    on_text(text)
        except RuntimeError as error:
            if self._is_cancelled:  # "llama_decode returned 2": our abort callback
                model.reset()
                return
            if NO_MEMORY.search(str(error)):
                raise out_of_memory(self._name) from None
            raise
        except ValueError as error:
            if "exceed context window" not in str(error):
                raise
            raise NoAnswer(
                f"what there is to ask is longer than the {CONTEXT_TOKENS} tokens that "
                f"{self._name} is given",
                cause="too_long",
            ) from None

    def _chunks(self, prompt: Prompt) -> Any:
        system, user = self._harmless(prompt.system), self._harmless(prompt.user)
        options: dict[str, Any] = {
            "stream": True,
            "temperature": 0.0,
            "max_tokens": prompt.max_tokens,
        }
        if prompt.json_schema is not None:
            # The binding ignores OpenAI's own form ("json_schema") without a word.
            options["response_format"] = {"type": "json_object", "schema": prompt.json_schema}
        try:
            return self._model.create_chat_completion(
                [{"role": "system", "content": system}, {"role": "user", "content": user}],
                **options,
            )
        except ValueError as error:
            if "system" not in str(error).lower():
                raise
            # Templates say so themselves where their model knows no system's part (Gemma).
            return self._model.create_chat_completion(
                [{"role": "user", "content": f"{system}\n\n{user}"}], **options
            )

    def _harmless(self, text: str) -> str:
        """Without words that the model takes for the end of our part: they may come from a
        process's command line, and the binding reads them wherever they stand."""
        if self._control_tokens is None:
            return text
        return self._control_tokens.sub(lambda match: f"{match[0][:1]} {match[0][1:]}", text)


def _import_library(name: str) -> Any:
    try:
        import llama_cpp
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - importing foreign code may fail in any way
        if NO_MEMORY.search(str(error)):
            raise out_of_memory(name) from None
        is_missing = isinstance(error, ModuleNotFoundError)
        raise NoAnswer(
            "llama-cpp-python, which runs local models, is not installed"
            if is_missing
            else "llama-cpp-python is installed, but does not load: "
            + visible(str(error), MAX_REASON_CHARS),
            fix="make model   (in a checkout; else: pip install 'linnix-ls[local]')",
            cause="not_installed",
        ) from None
    return llama_cpp


def _control_tokens(library: Any, model: Any) -> re.Pattern[str] | None:
    """What has a meaning of its own to this model, as ``<|im_end|>``."""
    vocabulary = library.llama_model_get_vocab(model.model)
    texts = [
        library.llama_vocab_get_text(vocabulary, token).decode(errors="replace")
        for token in range(library.llama_vocab_n_tokens(vocabulary))
        if library.llama_vocab_is_control(vocabulary, token)
    ]
    words = [re.escape(text) for text in texts if len(text) > 1]
    return re.compile("|".join(sorted(words, key=len, reverse=True))) if words else None


def _n_prefill_threads() -> int:
    """Half of what we may use while nobody waits for a CPU, else one. To decode, one is fastest."""
    try:
        pressure = Path("/proc/pressure/cpu").read_text(encoding="ascii")
    except OSError:  # a kernel without PSI
        return 1
    match = re.search(r"some avg10=([\d.]+)", pressure)
    if match is None or float(match[1]) > IDLE_PRESSURE_PERCENT:
        return 1
    return max(1, len(os.sched_getaffinity(0)) // 2)
