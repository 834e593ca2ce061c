"""Markdown as HTML: headings with addresses, tables that scroll by themselves, links between pages."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from app.docs.addresses import address, anchor

Environment = MutableMapping[str, Any]


LONGEST_UNBROKEN = 24
"""Characters of a word of code that stands in one line even where it has a hyphen."""


def _unbroken(word: str) -> str:
    """The HTML of a word of code; browsers would break an option behind its hyphens."""
    is_kept = "-" in word and len(word) <= LONGEST_UNBROKEN
    return f'<span class="whole">{escape(word)}</span>' if is_kept else str(escape(word))


class _Renderer(RendererHTML):
    """What differs from plain HTML."""

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Environment) -> str:
        place = tokens[idx - 2].attrs["id"]
        return f' <a class="here" href="#{place}" aria-label="Link to this section">#</a></{tokens[idx].tag}>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Environment) -> str:
        return '<div class="scroll" tabindex="0" role="region" aria-label="Table">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Environment) -> str:
        return "</table>\n</div>\n"

    def code_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Environment) -> str:
        words = re.split(r"(\s+)", tokens[idx].content)
        return f"<code>{''.join(_unbroken(word) for word in words)}</code>"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Environment) -> str:
        kind = (tokens[idx].info.split() or ["text"])[0]
        return f'<pre class="{escape(kind)}" tabindex="0"><code>{escape(tokens[idx].content)}</code></pre>\n'


_MARKDOWN = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")


def render(markdown: str, page: str) -> Markup:
    """The page's HTML.  HTML inside the Markdown is text: the parser escapes it."""
    env: Environment = {}
    tokens = _MARKDOWN.parse(markdown, env)
    seen: dict[str, int] = {}
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            name = anchor(tokens[position + 1].content)
            seen[name] = seen.get(name, -1) + 1
            token.attrs["id"] = f"{name}-{seen[name]}" if seen[name] else name
        for child in token.children or ():
            if child.type == "link_open":
                child.attrs["href"] = address(str(child.attrs["href"]), page)
            elif child.type == "image":
                child.attrs["src"] = address(str(child.attrs["src"]), page)
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, env))
