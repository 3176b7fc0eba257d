"""Authoring help in LSP, for documents whose name ends in ``.bpf.c`` and for no others.

Offered with a pattern to clients that can be told of one (dynamic registration); others ask for any
document, and are answered with nothing at once. Not here: what to say (`playground.base.Author`).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.workspace import PositionCodec

from linnix_ls.core.text import visible
from linnix_ls.errors import LinnixError
from linnix_ls.lsp import from_proto
from linnix_ls.lsp.documents import split_lines
from linnix_ls.lsp.probe_words import ToldProbe
from linnix_ls.lsp.text import markdown
from linnix_ls.playground.base import (
    MAX_AUTHORED_CHARS,
    Author,
    Completion,
    Described,
    Playground,
    Sort,
    Span,
    Token,
)

logger = logging.getLogger(__name__)

SUFFIX = ".bpf.c"
_SELECTOR = [types.TextDocumentFilterPattern(pattern="**/*.bpf.c")]
_COMPLETES_AFTER = [".", ">", "(", ",", '"', "/"]
_MAX_CODE_LINES = 200
_RUN_OF_TICKS = re.compile("`{3,}")

# `told`: what an agent knows that we may not read.
LoadAuthor = Callable[[bytes | None], Awaitable[Author]]

_ITEM_KINDS = {
    Sort.CATEGORY: types.CompletionItemKind.Module,
    Sort.EVENT: types.CompletionItemKind.Event,
    Sort.FIELD: types.CompletionItemKind.Field,
    Sort.MAP: types.CompletionItemKind.Variable,
    Sort.METHOD: types.CompletionItemKind.Method,
    Sort.HELPER: types.CompletionItemKind.Function,
    Sort.MACRO: types.CompletionItemKind.Snippet,
    Sort.FUNCTION: types.CompletionItemKind.Function,
    Sort.STRUCT: types.CompletionItemKind.Struct,
    Sort.CONSTANT: types.CompletionItemKind.Constant,
}
# By position: what a token is called, and its modifiers. Standard names, which themes know.
_TOKEN_TYPES = ("namespace", "event", "property", "variable", "method", "function", "macro")
_TOKEN_TYPE_OF = {
    Sort.CATEGORY: "namespace",
    Sort.EVENT: "event",
    Sort.FIELD: "property",
    Sort.MAP: "variable",
    Sort.METHOD: "method",
    Sort.HELPER: "function",
    Sort.MACRO: "macro",
}
_MODIFIERS = ("definition", "static", "readonly", "deprecated", "defaultLibrary")
_MODIFIERS_OF = {Sort.MAP: ("static",), Sort.FIELD: ("readonly",), Sort.HELPER: ("defaultLibrary",)}

LEGEND = types.SemanticTokensLegend(
    token_types=list(_TOKEN_TYPES), token_modifiers=list(_MODIFIERS)
)


class Authoring:
    """See the module.

    Args:
        load_author: called when the first probe is opened.
        playground: waits for the agent's; None where there is none.
        text_of: of an open document, by URI.
        uri_of: how the client names the file at a path.
        has_clangd: whether clangd looks after the file at a path.
    """

    def __init__(
        self,
        load_author: LoadAuthor,
        playground: Callable[[], Awaitable[Playground | None]],
        codec: PositionCodec,
        *,
        text_of: Callable[[str], str | None],
        uri_of: Callable[[str], str],
        has_clangd: Callable[[str], bool],
        capabilities: types.ClientCapabilities,
    ) -> None:
        self._load_author = load_author
        self._playground = playground
        self._codec = codec
        self._text_of = text_of
        self._uri_of = uri_of
        self._has_clangd = has_clangd
        self._capabilities = capabilities
        self._author: asyncio.Task[Author] | None = None
        self._learning: asyncio.Task[None] | None = None

    def features(self) -> dict[str, tuple[Callable[[Any], Awaitable[Any]], Any]]:
        """Handlers with their options, by method; but for hover, which is not only ours."""
        return {
            types.TEXT_DOCUMENT_COMPLETION: (
                self.complete,
                types.CompletionOptions(trigger_characters=_COMPLETES_AFTER),
            ),
            types.TEXT_DOCUMENT_SIGNATURE_HELP: (
                self.signature_help,
                types.SignatureHelpOptions(trigger_characters=["(", ","]),
            ),
            types.TEXT_DOCUMENT_DEFINITION: (self.definition, None),
            types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL: (self.semantic_tokens, LEGEND),
        }

    def registrations(self) -> dict[str, types.Registration]:
        """What the client is to be told, by method, of those that it can be told of later."""
        options: dict[str, tuple[str, Any]] = {
            types.TEXT_DOCUMENT_COMPLETION: (
                "completion",
                types.CompletionRegistrationOptions(
                    document_selector=_SELECTOR, trigger_characters=_COMPLETES_AFTER
                ),
            ),
            types.TEXT_DOCUMENT_SIGNATURE_HELP: (
                "signature_help",
                types.SignatureHelpRegistrationOptions(
                    document_selector=_SELECTOR, trigger_characters=["(", ","]
                ),
            ),
            types.TEXT_DOCUMENT_DEFINITION: (
                "definition",
                types.DefinitionRegistrationOptions(document_selector=_SELECTOR),
            ),
            types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL: (
                "semantic_tokens",
                types.SemanticTokensRegistrationOptions(
                    legend=LEGEND, document_selector=_SELECTOR, full=True
                ),
            ),
        }
        return {
            method: types.Registration(
                id=f"linnix-{name}",
                # The request is called otherwise than what is registered.
                method=method.removesuffix("/full"),
                register_options=each,
            )
            for method, (name, each) in options.items()
            if get_capability(self._capabilities, f"text_document.{name}.dynamic_registration")
        }

    def opened(self, uri: str) -> None:
        if (self._author is None or _has_failed(self._author)) and _path_of_probe(uri):
            self._author = asyncio.ensure_future(self._load_author(None))
            self._learning = asyncio.create_task(self._learn(self._author))

    async def close(self) -> None:
        for task in (self._learning, self._author):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _learn(self, first: asyncio.Future[Author]) -> None:
        """What an agent knows that we may not read: once there is one, without waiting for it."""
        await asyncio.wait([first])
        try:
            playground = await self._playground()
            told = (await playground.knowledge()).encode() if playground else None
            if told:
                author = await self._load_author(told)
                self._author = asyncio.ensure_future(_itself(author))
        except LinnixError as error:
            logger.info("the agent tells nothing of the kernel: %s", error.message)

    async def tell(self, uri: str) -> ToldProbe | None:
        """What a probe does, line by line; None if it is no probe that is open."""
        path, text = _path_of_probe(uri), self._text_of(uri)
        if path is None or text is None:
            return None
        self.opened(uri)
        assert self._author is not None
        author = await asyncio.shield(self._author)
        return ToldProbe(path, text, await asyncio.to_thread(author.tell, text))

    async def complete(self, params: types.CompletionParams) -> types.CompletionList | None:
        asked = await self._asked(params)
        if asked is None:
            return None
        author, text, lines, line, column, has_clangd = asked
        found = author.complete(text, line, column, has_clangd=has_clangd)
        if found is None:
            return None
        where = self._range(lines, found.span)
        return types.CompletionList(
            is_incomplete=found.has_more,
            items=[self._item(index, each, where) for index, each in enumerate(found.items)],
        )

    def _item(self, index: int, found: Completion, where: types.Range) -> types.CompletionItem:
        completion = "text_document.completion.completion_item"
        formats = get_capability(self._capabilities, f"{completion}.documentation_format")
        has_tags = get_capability(self._capabilities, f"{completion}.tag_support")
        tags = [types.CompletionItemTag.Deprecated]
        return types.CompletionItem(
            label=found.text,
            kind=_ITEM_KINDS[found.sort],
            detail=visible(found.detail, 200),
            documentation=_markup(found.described, formats) if found.described else None,
            tags=tags if found.is_refused and has_tags else None,
            sort_text=f"{index:03}",
            text_edit=types.TextEdit(range=where, new_text=found.text),
        )

    async def hover(self, params: types.HoverParams) -> types.Hover | None:
        asked = await self._asked(params)
        if asked is None:
            return None
        author, text, lines, line, column, has_clangd = asked
        found = author.hover(text, line, column, has_clangd=has_clangd)
        if found is None:
            return None
        formats = get_capability(self._capabilities, "text_document.hover.content_format")
        return types.Hover(
            contents=_markup(found.described, formats), range=self._range(lines, found.span)
        )

    async def signature_help(self, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        asked = await self._asked(params)
        if asked is None:
            return None
        author, text, _, line, column, has_clangd = asked
        found = author.signature(text, line, column, has_clangd=has_clangd)
        if found is None:
            return None
        formats = get_capability(
            self._capabilities,
            "text_document.signature_help.signature_information.documentation_format",
        )
        signature = types.SignatureInformation(
            label=visible(found.label),
            documentation=_markup(found.described, formats),
            parameters=[types.ParameterInformation(label=visible(p)) for p in found.parameters],
        )
        return types.SignatureHelp(
            signatures=[signature], active_signature=0, active_parameter=found.active
        )

    async def definition(self, params: types.DefinitionParams) -> types.Location | None:
        asked = await self._asked(params)
        if asked is None:
            return None
        author, text, lines, line, column, has_clangd = asked
        found = author.definition(text, line, column, has_clangd=has_clangd)
        if found is None:
            return None
        if found.path is None:
            uri = params.text_document.uri
        else:
            # Of a probe of ours only names are marked, which are ASCII: columns are units.
            uri, lines = self._uri_of(found.path), []
        return types.Location(uri=uri, range=self._range(lines, found.span))

    async def semantic_tokens(
        self, params: types.SemanticTokensParams
    ) -> types.SemanticTokens | None:
        asked = await self._asked(params)
        if asked is None:
            return None
        author, text, lines, _, _, has_clangd = asked
        if has_clangd:
            return None  # editors show those of one server: the first that has some
        return types.SemanticTokens(data=self._encoded(author.tokens(text), lines))

    async def _asked(self, params: Any) -> tuple[Author, str, list[str], int, int, bool] | None:
        """What is asked of whom; None for a document that is none of ours.

        Text, its lines, and the position: both from 1, in characters.
        """
        path = _path_of_probe(params.text_document.uri)
        text = self._text_of(params.text_document.uri) if path else None
        if path is None or text is None or len(text) > MAX_AUTHORED_CHARS:
            return None
        self.opened(params.text_document.uri)
        assert self._author is not None
        author = await asyncio.shield(self._author)
        lines = split_lines(text)
        position = getattr(params, "position", None) or types.Position(line=0, character=0)
        line = min(position.line, len(lines) - 1)
        client = types.Position(line=0, character=position.character)
        server = self._codec.position_from_client_units([lines[line]], client)
        return author, text, lines, line + 1, server.character + 1, self._has_clangd(path)

    def _range(self, lines: Sequence[str], span: Span) -> types.Range:
        """Of a span within one line, in the client's units."""
        line = lines[span.line - 1] if span.line <= len(lines) else None
        first, last = (span.column or 1) - 1, (span.end_column or span.column or 1) - 1
        if line is not None:
            first = self._codec.client_num_units(line[:first])
            last = self._codec.client_num_units(line[:last])
        return types.Range(
            start=types.Position(line=span.line - 1, character=first),
            end=types.Position(line=span.line - 1, character=last),
        )

    def _encoded(self, tokens: Sequence[Token], lines: Sequence[str]) -> list[int]:
        """Five numbers each, relative to the one before."""
        numbers: list[int] = []
        line, column, units, units_before = 0, 0, 0, 0
        for token in tokens:
            first, last = (token.span.column or 1) - 1, (token.span.end_column or 1) - 1
            n_lines = token.span.line - 1 - line
            if n_lines:
                line, column, units, units_before = token.span.line - 1, 0, 0, 0
            # From the token before: a line may be long.
            units += self._codec.client_num_units(lines[line][column:first])
            column = first
            modifiers = [*_MODIFIERS_OF.get(token.sort, ())]
            modifiers += ["definition"] * token.is_definition + ["deprecated"] * token.is_refused
            numbers += [
                n_lines,
                units - units_before,
                self._codec.client_num_units(lines[line][first:last]),
                _TOKEN_TYPES.index(_TOKEN_TYPE_OF[token.sort]),
                sum(1 << _MODIFIERS.index(each) for each in modifiers),
            ]
            units_before = units
        return numbers


def _has_failed(loading: asyncio.Future[Author]) -> bool:
    """So that the next who asks tries again."""
    return loading.done() and (loading.cancelled() or loading.exception() is not None)


async def _itself(author: Author) -> Author:
    return author


def _path_of_probe(uri: str) -> str | None:
    """None of a document that is no probe."""
    path = from_proto.path(uri) if uri.endswith(SUFFIX) else None
    return path or None


def _markup(
    described: Described, formats: Sequence[types.MarkupKind] | None
) -> types.MarkupContent:
    code = "\n".join(visible(line) for line in described.code.split("\n")[:_MAX_CODE_LINES])
    paragraphs = [each for each in described.text.split("\n\n") if each]
    if formats and formats[0] is types.MarkupKind.Markdown:
        code = _RUN_OF_TICKS.sub("``", code)  # it would end the block
        parts = [f"```c\n{code}\n```"] if code else []
        parts += [markdown(each) for each in paragraphs]
        return types.MarkupContent(kind=types.MarkupKind.Markdown, value="\n\n".join(parts))
    parts = [code] if code else []
    parts += [visible(each) for each in paragraphs]
    return types.MarkupContent(kind=types.MarkupKind.PlainText, value="\n\n".join(parts))
