"""Inline markup: code, links, bold and emphasis."""
import html
import re

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+)\)")
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
EMPHASIS = re.compile(r"_((?:[^_\s]+\s*)+)_")


def inline(text):
    text = html.escape(text, quote=False)
    text = CODE.sub(r"<code>\1</code>", text)
    text = LINK.sub(r'<a href="\2">\1</a>', text)
    text = BOLD.sub(r"<b>\1</b>", text)
    text = EMPHASIS.sub(r"<em>\1</em>", text)
    return text
