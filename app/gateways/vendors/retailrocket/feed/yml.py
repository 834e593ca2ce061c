"""Writes the feed's YML, piece by piece, as valid XML for every text (contract 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from app.gateways.vendors.retailrocket.offers import Offer, clean

_SPECIAL: Final = re.compile("[&<>\r]")
_SPECIAL_IN_ATTRIBUTE: Final = re.compile('[&<>"\r\n\t]')
_ENTITIES: Final[Mapping[str, str]] = {"\r": "&#13;"}
_ATTRIBUTE_ENTITIES: Final[Mapping[str, str]] = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def head(built_at: datetime) -> bytes:
    """The document up to what counts as content: the date alone is no change (contract 5)."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<yml_catalog date="{built_at:%Y-%m-%d %H:%M}"><shop>\n'.encode()


def shop(name: str, url: str, categories: Iterable[tuple[int, int, str]]) -> bytes:
    """Who the shop is, and its categories: number, number of the one above or 0, name."""
    pieces = [f" <{tag}>{_text(clean(value))}</{tag}>\n" for tag, value in (("name", name), ("url", url)) if value]
    pieces.append(" <categories>\n")
    for number, above, title in categories:
        of = f' parentId="{above}"' if above else ""
        pieces.append(f'  <category id="{number}"{of}>{_text(title)}</category>\n')
    pieces.append(" </categories>\n <offers>\n")
    return "".join(pieces).encode()


def offer(item: Offer, numbers: Mapping[str, int]) -> bytes:
    """One offer; with stocks the truth is in each of them and the offer itself says false (contract 2.1)."""
    is_available = item.is_available and not item.stocks
    group = f' group_id="{item.group}"' if item.group else ""
    pieces = [f'  <offer id="{item.number}" available="{_word(is_available)}"{group}>']
    pieces.append(f"<url>{_text(item.url)}</url><price>{amount(item.price)}</price>")
    if item.old_price is not None:
        pieces.append(f"<oldprice>{amount(item.old_price)}</oldprice>")
    pieces += [f"<categoryId>{numbers[path]}</categoryId>" for path in item.categories]
    pieces.append(f"<picture>{_text(item.picture)}</picture><name>{_text(item.name)}</name>")
    if item.vendor:
        pieces.append(f"<vendor>{_text(item.vendor)}</vendor>")
    if item.description:
        pieces.append(f"<description>{_text(item.description)}</description>")
    pieces += [f'<param name="{_attribute(name)}">{_text(value)}</param>' for name, value in item.params]
    pieces += [
        f'<stock id="{_attribute(clean(stock_id))}"><available>{_word(is_there)}</available></stock>'
        for stock_id, is_there in item.stocks
    ]
    pieces.append("</offer>\n")
    return "".join(pieces).encode()


TAIL: Final = b" </offers>\n</shop></yml_catalog>\n"


def amount(value: Decimal) -> str:
    """As written, without an exponent."""
    return f"{value:f}"


def _word(is_so: bool) -> str:
    return "true" if is_so else "false"


def _text(value: str) -> str:
    return escape(value, dict(_ENTITIES)) if _SPECIAL.search(value) else value


def _attribute(value: str) -> str:
    return escape(value, dict(_ATTRIBUTE_ENTITIES)) if _SPECIAL_IN_ATTRIBUTE.search(value) else value
