"""The pages: found in this folder, read once, rendered at their first request, searched by section."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from app.docs.addresses import address, anchor
from app.docs.generated import callbacks, codes, metrics, settings

FOLDER = Path(__file__).parent

GENERATED: dict[str, Callable[[], str]] = {
    "reference/callbacks": callbacks.text,
    "reference/codes": codes.text,
    "reference/metrics": metrics.text,
    "reference/settings": settings.text,
}
"""Pages of which one line stands for what is made of the code when the page is read."""

GENERATED_LINE = re.compile(r"^_The running server shows here .*_$", re.MULTILINE)
"""The line; on a Git host it says where to look."""

MOST_WORDS = 10
"""Words of a query that are looked for; the others are left out."""

SHOWN = 40
"""Results of a search that are shown."""

NEAR = 5
"""Of those that do not hold every word."""

SHORTEST_WORD = 3
"""Characters of a word that is looked for alone."""


def is_about(line: str, query: str) -> bool:
    """Whether a line is the row of a table that has the query as code in its first cell."""
    return line.casefold().startswith(f"| `{query}`")


@dataclass(frozen=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    page: Page
    title: str
    anchor: str
    text: str

    @property
    def address(self) -> str:
        return self.page.address + (f"#{self.anchor}" if self.anchor else "")

    def excerpt(self, words: list[str]) -> str:
        """Some words around the first one that was looked for, or the row of a table that is about them."""
        row = next((line for line in self.text.splitlines() if is_about(line, " ".join(words))), "")
        text = re.sub(r"\]\([^)]*\)|[`*#\[\]]", "", row or self.text)
        plain = " ".join(re.sub(r"\||-{3,}", " ", text).split())
        at = min((found for word in words if (found := plain.casefold().find(word)) >= 0), default=0)
        begin = max(0, plain.rfind(" ", 0, max(0, at - 60)) + 1)
        text = plain[begin : begin + 220]
        return ("… " if begin else "") + text + (" …" if begin + 220 < len(plain) else "")


@dataclass(frozen=True)
class Page:
    """One page by its name, such as "explain/rules"."""

    name: str
    path: Path

    @property
    def address(self) -> str:
        return address(f"/{self.name}.md".lstrip("/"), "")

    @cached_property
    def markdown(self) -> str:
        text = self.path.read_text(encoding="utf-8")
        made = GENERATED.get(self.name)
        return text if made is None else GENERATED_LINE.sub(lambda _: made(), text, count=1)

    @cached_property
    def title(self) -> str:
        return self.markdown.partition("\n")[0].removeprefix("# ").strip()

    @cached_property
    def html(self) -> Markup:
        from app.docs.rendering import render  # a server starts the sooner without the parser of Markdown

        return render(self.markdown, self.name)

    @cached_property
    def sections(self) -> list[Section]:
        found: list[Section] = []
        title, lines, in_code = self.title, list[str](), False
        seen: dict[str, int] = {}
        place = ""
        for line in self.markdown.splitlines()[1:]:
            in_code ^= line.startswith("```")
            heading = None if in_code else re.match(r"#{2,6} +(.+?) *$", line)
            if heading is None:
                lines.append(line)
                continue
            found.append(Section(self, title, place, "\n".join(lines)))
            title, lines, place = heading[1], [], anchor(heading[1])
            seen[place] = seen.get(place, -1) + 1
            place += f"-{seen[place]}" if seen[place] else ""
        return [*found, Section(self, title, place, "\n".join(lines))]


class Library:
    """All pages by name, and the navigation, which is the table of contents on the first page."""

    def __init__(self) -> None:
        found = (path for path in FOLDER.rglob("*.md"))
        names = {path.relative_to(FOLDER).as_posix().removesuffix(".md"): path for path in found}
        self.pages = {name: Page(name, names[name]) for name in sorted(names)}

    @cached_property
    def contents(self) -> list[tuple[str, list[tuple[str, Page]]]]:
        """Each group of pages with its heading; each page with the words of its link."""
        groups: list[tuple[str, list[tuple[str, Page]]]] = []
        for line in self.pages["index"].markdown.splitlines():
            if line.startswith("## "):
                groups.append((line[3:].strip(), []))
            elif groups and (link := re.search(r"\[([^\]]+)\]\(([\w/-]+)\.md\)", line)):
                groups[-1][1].append((link[1], self.pages[link[2]]))
        return groups

    @cached_property
    def words(self) -> dict[str, str]:
        """What the contents call each page, which may say more than its title."""
        return {page.name: words for _, pages in self.contents for words, page in pages}

    def search(self, query: str) -> list[tuple[Section, str]]:
        """The sections that hold every word of the query, best first, each with an excerpt.

        A title that is the query comes first, then a row of a table whose first cell is; then by how often the words
        occur, in titles most.
        """
        words = _words(query)
        scored: list[tuple[int, str, int, Section]] = []
        for section, position, counts in self._counted(words):
            if all(counts):
                title, text = section.title.casefold(), section.text.casefold()
                score = sum(counts) + 1000 * (title.strip("`") == query.casefold())
                score += 500 * any(is_about(line, query.casefold()) for line in text.splitlines())
                scored.append((-score, section.page.name, position, section))
        return [
            (section, section.excerpt(words)) for _, _, _, section in sorted(scored, key=lambda row: row[:3])[:SHOWN]
        ]

    def nearest(self, query: str) -> list[tuple[Section, str]]:
        """For a query that no section holds every word of: those that hold most of it, the rarest words before all."""
        words = [word for word in _words(query) if len(word) >= SHORTEST_WORD]
        counted = list(self._counted(words))
        holding = [sum(1 for _, _, counts in counted if counts[at]) or 1 for at in range(len(words))]
        scored = [
            (-sum(1 / holding[at] + 0.001 * count for at, count in enumerate(counts) if count), at, section)
            for at, (section, _, counts) in enumerate(counted)
            if any(counts)
        ]
        return [(section, section.excerpt(words)) for _, _, section in sorted(scored, key=lambda row: row[:2])[:NEAR]]

    def _counted(self, words: list[str]) -> Iterator[tuple[Section, int, list[int]]]:
        """Each section with its position and how often it holds each word, in its title most."""
        for page in self.pages.values():
            for position, section in enumerate(page.sections):
                title, text = section.title.casefold(), section.text.casefold()
                yield section, position, [20 * title.count(word) + min(text.count(word), 5) for word in words]


def _words(query: str) -> list[str]:
    return list(dict.fromkeys(query.casefold().split()))[:MOST_WORDS]
