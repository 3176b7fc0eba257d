"""pygls' protocol with the gaps closed that would leave a client waiting or flood it.

Every request gets an answer: also one with wrong parameters, one before `initialize` or after
`shutdown`, and one whose handler has a bug. No failure becomes a popup. What the client sends
first is `receive`; what a method does is in `server`.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import attrs
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcParseError,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, lsp_method

from linnix_ls.lsp.ext import PREFIX

logger = logging.getLogger(__name__)


@attrs.frozen
class ExtensionRequest:
    """A `linnix/*` request, its parameters as they came (pygls would make named tuples)."""

    id: int | str
    method: str
    params: Any
    jsonrpc: str = "2.0"


@attrs.frozen
class ExtensionNotification:
    method: str
    params: Any
    jsonrpc: str = "2.0"


class LinnixProtocol(LanguageServerProtocol):
    """See the module.

    Attributes:
        exit_code: what the process should end with; None until the client has said `exit`.
    """

    exit_code: int | None = None
    _is_initialized = False

    def receive(self, body: bytes) -> None:
        """Take in one message. Never raises: what is wrong with it is answered and logged."""
        try:
            message = json.loads(body)
        except ValueError as error:  # also UnicodeDecodeError
            logger.warning("a message that is no JSON: %s", error)
            self._refuse(None, JsonRpcParseError())
            return
        except RecursionError:
            self._refuse(None, JsonRpcParseError("nested too deeply"))
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != self.VERSION:
            message_id = message.get("id") if isinstance(message, dict) else None
            self._refuse(message_id, JsonRpcInvalidRequest("not a JSON-RPC 2.0 message"))
            return
        method, message_id = message.get("method"), message.get("id")
        if method is None:
            self._receive_response(message)
            return
        if not isinstance(method, str) or not isinstance(message_id, int | str | None):
            self._refuse(None, JsonRpcInvalidRequest())
            return
        if refusal := self._not_now(method):
            if message_id is not None:
                self._refuse(message_id, refusal)
            return
        try:
            structured = self.structure_message(message)
        except JsonRpcException as error:
            # pygls has logged it.
            if message_id is not None:
                self._refuse(message_id, JsonRpcInvalidParams(f"{method}: {error.message}"))
            return
        self.handle_message(structured)

    def structure_message(self, data: dict[str, Any]) -> Any:
        method = data.get("method")
        if isinstance(method, str) and method.startswith(PREFIX):
            params = data.get("params")
            if "id" in data:
                return ExtensionRequest(id=data["id"], method=method, params=params)
            return ExtensionNotification(method=method, params=params)
        return super().structure_message(data)

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Any:
        self._is_initialized = True
        result = yield from super().lsp_initialize(params)
        return result

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *params: object) -> Any:
        """pygls goes through the requests that run while we forget those that it cancels."""
        for msg_id, future in list(self._request_futures.items()):
            if msg_id != self.msg_id:
                future.cancel()
        yield from super().lsp_shutdown(*params)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_params: object) -> Any:
        """pygls would end the interpreter here; we let the serving coroutine return."""
        self.exit_code = 0 if self._shutdown else 1

    @property
    def is_shut_down(self) -> bool:
        """Whether the client has asked for `shutdown`."""
        return self._shutdown

    def _execute_handler(
        self,
        msg_id: int | str,
        handler: Any,
        callback: Any,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """pygls keeps the future of every notification for ever; a keystroke is one. And of a
        request that it answers by way of another handler (a command), it cancels the answer only.
        """
        answer = getattr(callback, "keywords", {}).get("result_future")

        def done(future: Any) -> None:
            self._request_futures.pop(msg_id, None)
            if answer is not None and future.cancelled():
                answer.cancel()
            else:
                callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)
        if answer is not None and (work := self._request_futures.get(msg_id)):
            answer.add_done_callback(lambda _: work.cancel())

    def _send_handler_result(self, future: Any, *, msg_id: int | str) -> None:
        """A refusal is an answer like others; pygls would log a traceback for it."""
        if not future.cancelled() and isinstance(error := future.exception(), JsonRpcException):
            self._refuse(msg_id, error)
        else:
            super()._send_handler_result(future, msg_id=msg_id)

    def _not_now(self, method: str) -> JsonRpcException | None:
        if method == types.EXIT:
            return None
        if self._shutdown:
            return JsonRpcInvalidRequest("the server is shutting down")
        if method == types.INITIALIZE:
            return JsonRpcInvalidRequest("already initialized") if self._is_initialized else None
        return None if self._is_initialized else JsonRpcServerNotInitialized()

    def _receive_response(self, message: dict[str, Any]) -> None:
        try:
            self.handle_message(self.structure_message(message))
        except (JsonRpcException, AttributeError) as error:
            # Else whoever asked would wait for ever.
            logger.warning("an answer that cannot be read: %s", error)
            future = self._request_futures.pop(str(message.get("id")), None)
            if future and not future.done():
                future.set_exception(JsonRpcInvalidRequest("the answer cannot be read"))

    def _refuse(self, message_id: int | str | None, error: JsonRpcException) -> None:
        self._send_response(message_id, error=error.to_response_error())  # type: ignore[arg-type]
