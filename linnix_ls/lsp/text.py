"""Text that came from a process, as markdown that shows it and does nothing else.

Whatever a process is called or prints is hostile. Not here: what to say (`wording`).
"""

from __future__ import annotations

import re

from linnix_ls.core.text import visible, without_surrogates

_MARKDOWN = re.compile(r"([\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])|^[#+\-=]|^\d+(?=[.)] )|www\b)")


def markdown(text: str) -> str:
    """Escape so that it reads the same in markdown: no links, emphasis, tables or HTML."""
    return _MARKDOWN.sub(_escape_markdown, visible(text)).replace("://", ":\\//")


def prose(text: str) -> str:
    """Likewise, but what stands between backticks is code."""
    parts = re.split(r"`([^`\n]+)`", text)
    return "".join(code_span(part) if at % 2 else markdown(part) for at, part in enumerate(parts))


def _escape_markdown(match: re.Match[str]) -> str:
    if match[0].isalnum():  # a list's number or a bare link: what follows it makes it one
        return match[0] + "\\"
    return "\\" + match[0]


def code_span(text: str, max_chars: int = 120) -> str:
    """As an inline code span, which shows every character as it is."""
    text = visible(text, max_chars) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def message(text: str) -> str:
    """For a message box. Not markdown; yet VS Code makes links of ``[label](target)``, and runs
    commands by them."""
    return without_surrogates(text).replace("](", "] (")


def with_fix(problem: str, fix: str | None) -> str:
    """A problem, and what can be done about it, in one line."""
    return f"{problem} (to fix it: {fix})" if fix else problem
