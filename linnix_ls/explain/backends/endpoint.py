"""A model behind an OpenAI-compatible server, through the `openai` package.

Sends what it is given, and its key, to the configured host and to nobody else.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

from linnix_ls.config import EndpointSettings
from linnix_ls.core.text import visible
from linnix_ls.explain.base import NoAnswer, Prompt

MAX_ANSWER_CHARS = 1 << 18
MAX_ANSWER_BYTES = 1 << 20
MAX_NAME_CHARS = 100
MAX_REASON_CHARS = 200
KEYRING_USER = "linnix-ls"
# Questions after which we give up to leave out what the server does not know.
MAX_REFUSED_OPTIONS = 3

_BAD_REQUEST = (400, 422)


def host_of(url: str | None) -> str | None:
    """The host that requests go to; None where that is no address of the web."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def is_loopback(host: str | None) -> bool:
    """Whether what is sent there stays on this machine."""
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name; where it leads to can change
        return False


class EndpointBackend:
    """See `Backend`."""

    works_here = False

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._host = visible(host_of(settings.url) or "", MAX_NAME_CHARS)
        self._client: Any = None
        self._key: str | None = None

    async def load(self) -> str:
        if self._client is None:
            self._connect()
        return visible(f"{self._settings.model} at {self._host}", MAX_NAME_CHARS)

    async def answer(self, prompt: Prompt, on_text: Callable[[str], None]) -> None:
        import openai

        n_chars = 0
        has_ended = False
        try:
            stream = await self._ask(prompt)
            async with stream:
                async for chunk in stream:
                    for choice in getattr(chunk, "choices", None) or ():
                        if isinstance(text := getattr(choice.delta, "content", None), str):
                            n_chars += len(text)
                            if n_chars > MAX_ANSWER_CHARS:
                                raise self._too_long()
                            on_text(text)
                        has_ended = has_ended or choice.finish_reason is not None
                    if has_ended:  # some servers leave the connection open after it
                        break
        except openai.APITimeoutError:
            raise NoAnswer(
                f"{self._host} did not answer within {self._settings.timeout_s:g} s",
                fix="see whether it is busy; linnix.explain.endpoint.timeout_s gives it longer",
                cause="endpoint_unreachable",
            ) from None
        except openai.APIConnectionError as error:
            raise self._broken(error) if n_chars else self._unreachable(error) from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIError as error:  # told in the middle of the answer
            raise self._no_answer(
                f"{self._host} gave up: {self._quoted(error.message)}", "endpoint_refused"
            ) from None
        except (ValueError, AttributeError, TypeError) as error:  # what the SDK makes of garbage
            raise self._garbage(self._quoted(str(error))) from None
        if not has_ended:
            raise self._broken(None) if n_chars else self._garbage("there is no answer in it")

    async def _ask(self, prompt: Prompt) -> Any:
        """The stream of the answer. What a server does not know of our options is left out."""
        import openai

        options: dict[str, Any] = {"temperature": 0.0, "max_tokens": prompt.max_tokens}
        if prompt.json_schema is not None:
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "note", "schema": prompt.json_schema, "strict": True},
            }
        for _ in range(MAX_REFUSED_OPTIONS):
            try:
                return await self._create(prompt, options)
            except openai.APIStatusError as error:
                if error.status_code not in _BAD_REQUEST:
                    raise
                refused = next((name for name in options if name in str(error)), "response_format")
                if options.pop(refused, None) is None:
                    raise
                if refused == "max_tokens":  # newer models call it so
                    options["max_completion_tokens"] = prompt.max_tokens
        return await self._create(prompt, options)

    async def _create(self, prompt: Prompt, options: dict[str, Any]) -> Any:
        return await self._client.chat.completions.create(
            model=self._settings.model,
            messages=[
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            stream=True,
            **options,
        )

    def _connect(self) -> None:
        settings = self._settings
        self._key = self._find_key()
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            del os.environ[name]  # else the SDK sends an organization, or logs what it sends
        try:
            import openai
        except ImportError:
            raise _not_installed("openai") from None
        self._client = openai.AsyncOpenAI(
            base_url=settings.url,
            api_key=self._key or "none",
            timeout=settings.timeout_s,
            max_retries=settings.max_retries,
            default_headers={"Accept-Encoding": "identity"},  # so that the limit is one of memory
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # where to, and with the key, is the user's business
                trust_env=not is_loopback(
                    host_of(settings.url)
                ),  # no proxy on the way to ourselves
                event_hooks={"response": [self._limit]},
            ),
        )

    def _find_key(self) -> str | None:
        settings = self._settings
        key: str | None = None
        if settings.key_keyring:
            try:
                import keyring
            except ImportError:
                raise _not_installed("keyring") from None
            try:
                key = keyring.get_password(settings.key_keyring, KEYRING_USER)
            except Exception as error:  # noqa: BLE001 - whatever keyring that is
                raise NoAnswer(
                    f"the keyring does not give the key for {self._host}: "
                    + visible(str(error), MAX_REASON_CHARS),
                    fix=f"put it into the environment variable {settings.key_env}, and leave "
                    "linnix.explain.endpoint.key_keyring empty",
                    cause="endpoint_refused",
                ) from None
        key = (key or os.environ.get(settings.key_env, "")).strip()
        return key or None

    async def _limit(self, response: Any) -> None:
        """Make its body end with an error where it grows too large."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._garbage("it is compressed, which was not asked for")
        if response.is_redirect:
            target = host_of(response.headers.get("location")) or "?"
            raise self._no_answer(
                f"{self._host} sends us elsewhere ({visible(target, MAX_NAME_CHARS)}), "
                "and the key is not shown to others",
                "endpoint_refused",
            )
        whole_body = response.aiter_raw

        async def limited_body(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            n_bytes = 0
            async for part in whole_body(chunk_size):
                n_bytes += len(part)
                if n_bytes > MAX_ANSWER_BYTES:
                    raise self._too_long()
                yield part

        response.aiter_raw = limited_body

    def _quoted(self, foreign: str) -> str:
        if self._key is not None:
            foreign = foreign.replace(self._key, "…")
        return visible(foreign.strip(), MAX_REASON_CHARS)

    def _no_answer(self, message: str, cause: str) -> NoAnswer:
        return NoAnswer(
            message,
            fix="see that linnix.explain.endpoint.url is that of an OpenAI-compatible API, "
            "up to and including /v1",
            cause=cause,
        )

    def _too_long(self) -> NoAnswer:
        return self._no_answer(
            f"{self._host} answers more than {MAX_ANSWER_BYTES >> 20} MB, which is no explanation",
            "too_long",
        )

    def _garbage(self, what: str) -> NoAnswer:
        return self._no_answer(
            f"what {self._host} answers is not what an OpenAI-compatible server does: {what}",
            "endpoint_garbage",
        )

    def _broken(self, error: Exception | None) -> NoAnswer:
        detail = f" ({self._quoted(str(error.__cause__))})" if error and error.__cause__ else ""
        return NoAnswer(
            f"{self._host} broke off in the middle of its answer{detail}",
            fix="its own log may tell why",
            cause="endpoint_garbage",
        )

    def _unreachable(self, error: Exception) -> NoAnswer:
        detail = self._quoted(str(error.__cause__ or error))
        return NoAnswer(
            f"{self._host} cannot be reached: {detail}",
            fix="start the server, or correct linnix.explain.endpoint.url",
            cause="endpoint_unreachable",
        )

    def _refused(self, error: Any) -> NoAnswer:
        settings, status = self._settings, error.status_code
        if status in (401, 403):
            source = settings.key_keyring and f"the keyring's {settings.key_keyring}"
            fix = f"see that {source or settings.key_env} holds a valid key"
            what = "does not accept the key" if self._key else "wants a key"
        elif status == 404:
            what = f"does not know the address or the model {visible(str(settings.model), 80)}"
            fix = (
                "see linnix.explain.endpoint.url (it ends in /v1) and linnix.explain.endpoint.model"
            )
        elif status == 429:
            what = "is asked too often, or the quota is used up"
            fix = "wait, or see your plan there"
        elif status >= 500:
            what, fix = "has trouble of its own", "its own log may tell why"
        else:
            what = "does not take the question"
            fix = "see that linnix.explain.endpoint.model is one that it has"
        return NoAnswer(
            f"{self._host} {what} (HTTP {status}: {self._quoted(error.message)})",
            fix=fix,
            cause="endpoint_refused",
        )


def _not_installed(package: str) -> NoAnswer:
    return NoAnswer(
        f"the Python package {package} is not installed",
        fix="pip install 'linnix-ls[endpoint]'",
        cause="not_installed",
    )
