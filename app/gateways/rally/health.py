"""What a check says of a shop beyond its hooks: settings that stop every checkout, and why hooks were refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from app.gateways.interface import Finding
from app.gateways.rally.options import RallyOptions
from app.gateways.rally.shop import GATEWAY, Shop
from app.records import catalogue, inbound
from app.storefront.addresses import has_provinces

LOOKED_BACK: Final = timedelta(hours=1)

NAMED: Final = 4
"""How many reasons are named one by one."""

PAGES: Final = 40
"""How many pages of the catalogue are searched for a price that a shopper can pay."""

OF_SHOPPERS: Final = ("cart_not_found", "invalid_discount_code", "out_of_stock", "order_not_found")
"""Codes that a shop in good health answers, too."""


def findings_of(shop: Shop) -> Iterator[Finding]:
    """Raises `DatabaseUnavailable`."""
    yield from of_tables(shop.options)
    yield from _of_prices(shop)
    yield _of_hooks(shop)


def of_tables(options: RallyOptions) -> Iterator[Finding]:
    """What the tables of shipping and tax leave out."""
    if options.shipping:
        unreachable = sorted(_without_shipping(options))
        if unreachable:
            sentence = (
                f"[[channel.rally.shipping]] goes to {', '.join(unreachable)} by province alone, and addresses there "
                "name none: every checkout from there is refused; leave out `provinces`, or give the country an entry"
            )
            yield Finding("shipping", "attention", sentence)
    elif options.offers_only:
        yield Finding("shipping", "note", "no [[channel.rally.shipping]]: only carts without goods to ship are taken")
    else:
        sentence = "no [[channel.rally.shipping]]: every checkout with anything to ship is refused"
        yield Finding("shipping", "attention", sentence)
    if not options.tax:
        yield Finding("tax", "note", "no [[channel.rally.tax]]: nothing is taxed, and prices exclude tax")


def _of_prices(shop: Shop) -> Iterator[Finding]:
    """Nothing can be bought where no price is in the shop's currency; the first price that is ends the search."""
    ours, others = shop.options.currency, Counter[str]()
    after, pages = "", 0
    while pages < PAGES:
        with shop.database.read() as connection:
            after, products = catalogue.page(connection, shop.channel, after, catalogue.MANY)
        for unit in (unit for product in products for unit in product.units if unit.price is not None):
            if unit.currency in (None, "", ours):
                return
            others[unit.currency or ""] += 1
        pages += 1
        if not after:
            break
    if others:
        named = ", ".join(sorted(others)[:NAMED])
        least = "all" if not after else "the first"
        sentence = (
            f"{least} {others.total()} prices of the catalogue are in {named} and none is in {ours}, the channel's "
            "currency: nothing can be bought; mend `currency` of [channel.rally], or what RetailOps states"
        )
        yield Finding("prices", "note", sentence)


def _without_shipping(options: RallyOptions) -> set[str]:
    whole = {country for entry in options.shipping if not entry.provinces for country in entry.countries}
    parted = {country for entry in options.shipping if entry.provinces for country in entry.countries}
    return {country for country in parted - whole if not has_provinces(country)}


def _of_hooks(shop: Shop) -> Finding:
    """A refusal is for the operator where no shopper is the reason and the hook gave no good answer besides."""
    with shop.database.read() as connection:
        answered = inbound.since(connection, shop.channel, GATEWAY, shop.clock() - LOOKED_BACK)
    total, good = sum(answered.values()), Counter[str]()
    for item, count in answered.items():
        good[item.topic] += count if item.status == 200 else 0
    refused = {item: count for item, count in answered.items() if item.status != 200}
    if not refused:
        return Finding("requests", "ok", f"none of {total} hooks of the last hour was refused")
    is_grave = any(not item.reason.startswith(OF_SHOPPERS) and not good[item.topic] for item in refused)
    named = "; ".join(
        f"{count}x {item.topic}: {item.status} {item.reason}" for item, count in list(refused.items())[:NAMED]
    )
    more = f"; and {len(refused) - NAMED} more reasons" if len(refused) > NAMED else ""
    sentence = f"{sum(refused.values())} of {total} hooks of the last hour were refused: {named}{more}"
    return Finding("requests", "attention" if is_grave else "note", sentence)
