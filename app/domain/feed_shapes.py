"""Takes the plain shapes apart in which feed templates put lists: of pictures, of categories, of options.

A part comes with its place below the field, such as `[2].src`.  Nothing is judged here but the shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

DEEPEST: Final = 6
"""How deep lists and maps are taken apart."""

TOO_DEEP: Final = "stands inside too many lists and objects"

Part = tuple[str, Any]
"""A place below the field, and what stands there: a text, a number, true, false or null."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a shape that is not understood, and the rule it breaks."""

    rule: str


@dataclass(frozen=True)
class _Names:
    """Under which names an object keeps what it stands for (in that order), more of the same, and anything else.

    A name counts without regard to case and to what is no letter or digit.
    """

    own: Sequence[str]
    more: frozenset[str]
    beside: frozenset[str]


_ADDRESS: Final = _Names(
    own=("url", "src", "href", "uri", "link", "imageurl", "imagesrc", "imageuri", "image", "path", "file", "source"),
    more=frozenset(),
    beside=frozenset({
        "alt", "alttext", "caption", "color", "description", "height", "id", "index", "kind", "label", "mime",
        "mimetype", "name", "order", "position", "role", "sort", "sortorder", "title", "type", "variant", "width",
    }),
)  # fmt: skip
_CATEGORY: Final = _Names(
    own=("path", "fullpath", "name", "title", "label", "category", "value", "text"),
    more=frozenset({"children", "subcategories", "subcategory", "categories"}),
    beside=frozenset({"id", "url", "href", "link", "slug", "position", "order", "sort", "level", "parentid", "type"}),
)
_MAIN_FIRST: Final = ("main", "primary", "default", "first", "base")

_BREAK: Final = re.compile(r"\s*[,;|\n]\s*")
_NEXT_ADDRESS: Final = re.compile(r"(?:\s*[,;|]\s*|\s+)(?=https?://)", re.IGNORECASE)
_ROOTED: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|/", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{2,5}(?:\?.*)?\Z")


def addresses(value: Any) -> Iterator[Part]:
    """Every address of a text, a list or an object, the main one of an object first."""
    yield from _split(value, _addresses_of, _ADDRESS)


def categories(value: Any) -> Iterator[Part]:
    """Every category of a text, a list or an object; a text by itself may name several, with commas between."""
    yield from _split(value, lambda text: [part for part in re.split(r"\s*[,;\n]\s*", text) if part], _CATEGORY)


def _split(value: Any, parts_of: Any, names: _Names) -> Iterator[Part]:
    if isinstance(value, str):
        parts = parts_of(value)
        yield from ((f"[{at}]" if len(parts) > 1 else "", part) for at, part in enumerate(parts))
    else:
        yield from _parts(value, names, "", 0)


def _addresses_of(text: str) -> list[str]:
    """An address may hold a comma or a blank itself: several are only what look like it, one and all."""
    parts = [part for part in _BREAK.split(text.strip()) if part]
    are_rooted = [_ROOTED.match(part) is not None for part in parts]
    is_list = all(are_rooted) or (all(map(_EXTENSION.search, parts)) and not any(are_rooted))
    return [address for part in (parts if is_list else [text.strip()]) for address in _NEXT_ADDRESS.split(part)]


def _parts(value: Any, names: _Names, below: str, depth: int) -> Iterator[Part]:
    if not isinstance(value, dict | list):
        yield below, value
    elif depth == DEEPEST:
        yield below, Unread(TOO_DEEP)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            if isinstance(item, str):  # nearly always
                yield f"{below}[{at}]", item
            else:
                yield from _parts(item, names, f"{below}[{at}]", depth + 1)
    else:
        known = {_plain(name): name for name in reversed(value)}
        own = next((known[name] for name in names.own if name in known and value[known[name]] not in (None, "")), None)
        chosen = [name for name in value if name == own or (_plain(name) in names.more and value[name])]
        if own is None:
            chosen = [name for name in value if _plain(name) not in names.beside] or list(value)
            chosen.sort(key=lambda name: _plain(name) not in _MAIN_FIRST)
        for name in chosen:
            held = value[name]
            if isinstance(held, bool):  # a map of names and whether they count
                yield f"{below}.{name}", name if held else None
            else:
                yield from _parts(held, names, f"{below}.{name}", depth + 1)


@lru_cache(maxsize=1000)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


Option = tuple[str, Any, Any]
"""A place below the field, an option's name and its value; the value is `Unread` where nothing can be made of it."""

_NAME: Final = ("name", "names", "option", "optionname", "attribute", "attributename", "key", "label", "title")
_VALUE: Final = ("value", "values", "optionvalue", "attributevalue", "val", "selected", "choice", "main", "text")
_WRAPPING: Final = frozenset({"options", "option", "attributes", "attribute", "items", "item", "list", "data"})
_BESIDE: Final = frozenset({
    *_NAME, "id", "code", "slug", "type", "kind", "position", "order", "sort", "sortorder", "index", "required",
    "visible", "variation", "description",
})  # fmt: skip
_NO_OPTION: Final = Unread("must be an object with name and value")
_PAIR: Final = re.compile(r"\s*([^:=]*[^:=\s])\s*[:=]\s*(.*)\Z", re.DOTALL)


def options(value: Any) -> Iterator[Option]:
    """Every name with its value: of a map, of objects with name and value(s), of pairs, of a text such as "Size: M"."""
    if isinstance(value, dict):
        yield from _of_object(value, "", 0)
    else:
        yield from _of_any(value, "", 0)


def _of_any(value: Any, below: str, depth: int) -> Iterator[Option]:
    if depth == DEEPEST:
        yield below, None, Unread(TOO_DEEP)
    elif isinstance(value, str):
        yield from _of_text(value, below)
    elif isinstance(value, list):
        if depth and _is_pair(value):
            yield below, value[0], value[1]
            return
        for at, item in enumerate(value):
            yield from _of_any(item, f"{below}[{at}]", depth + 1)
    elif isinstance(value, dict):
        known = {_plain(name) for name in value}
        if known.isdisjoint(_NAME) and not known.isdisjoint(_VALUE) and len(known) == 1:
            yield below, None, _NO_OPTION
        else:
            yield from _of_object(value, below, depth)
    elif value is not None:
        yield below, None, _NO_OPTION


def _is_pair(value: Sequence[Any]) -> bool:
    """True for a name and its value, such as ["Size", "M"]; each of ["Size: M", "Colour: red"] is one by itself."""
    return (
        len(value) == 2
        and isinstance(value[0], str)
        and not isinstance(value[1], dict | list)
        and not any(isinstance(item, str) and _PAIR.match(item) for item in value)
    )


def _of_text(text: str, below: str) -> Iterator[Option]:
    parts = [part for part in _BREAK.split(text.strip()) if part]
    pairs = [_PAIR.match(part) for part in parts]
    if not all(pairs):
        yield below, None, Unread("must name the option and its value, such as Size: M")
        return
    for at, pair in enumerate(pairs):
        if pair is not None:
            yield (f"{below}[{at}]" if len(parts) > 1 else below), pair[1], pair[2]


def _of_object(value: dict[str, Any], below: str, depth: int) -> Iterator[Option]:
    known = {_plain(name): name for name in reversed(value)}
    name = held = None
    if not known.keys().isdisjoint(_NAME):
        name = next((known[word] for word in _NAME if word in known), None)
        held = next((known[word] for word in _VALUE if word in known and known[word] != name), None)
    if name is not None and held is not None:
        yield from _named(value[name], value[held], below)
        return
    if name is not None and below:
        if any(item not in (None, "", [], {}) and _plain(word) not in _BESIDE for word, item in value.items()):
            yield below, value[name], _NO_OPTION
        return  # an option without a value says nothing
    for word, item in value.items():
        here = f"{below}.{word}"
        is_nested = isinstance(item, dict | list) and (_plain(word) in _WRAPPING or word.isdigit())
        if depth + 1 < DEEPEST and (is_nested or (isinstance(item, dict) and _is_named(item))):
            yield from _of_any(item, here, depth + 1)
        elif isinstance(item, dict | list):
            yield from _named(word, item, here)
        else:
            yield here, word, item


def _is_named(item: Mapping[str, Any]) -> bool:
    known = {_plain(word) for word in item}
    return not known.isdisjoint(_NAME) and not known.isdisjoint(_VALUE)


def _named(name: Any, held: Any, below: str) -> Iterator[Option]:
    """One option with its value or values; two lists of one length are names and values side by side."""
    if isinstance(name, list):
        if isinstance(held, list) and len(name) == len(held):
            for at, pair in enumerate(zip(name, held, strict=True)):
                yield from _named(*pair, f"{below}[{at}]")
        else:
            yield below, None, _NO_OPTION
        return
    values = held if isinstance(held, list) else [held]
    for at, item in enumerate(values):
        here = f"{below}[{at}]" if isinstance(held, list) else below
        if isinstance(item, dict):
            item = next((item[word] for word in item if _plain(word) in (*_VALUE, *_NAME)), item)
        yield here, name, Unread("must be text") if isinstance(item, dict | list) else item
