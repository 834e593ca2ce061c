"""What a check says of a shop beyond its hooks: settings that stop every checkout, and why hooks were refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from app.domain.catalogue import Item
from app.gateways.interface import Finding
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.products import is_buyable
from app.gateways.vendors.rally.shop import GATEWAY, Shop
from app.gateways.vendors.rally.storefront_address import TOPIC
from app.records import catalogue, inbound
from app.records.inbound import Answered
from app.storefront.addresses import has_provinces, is_known_province

LOOKED_BACK: Final = timedelta(hours=1)

NAMED: Final = 4
"""How many reasons are named one by one."""

PAGES: Final = 40
"""How many pages of the catalogue are searched for an article that a shopper can buy."""

LARGE_ORDER: Final = 64 * 1024
"""Bytes of `order/create` for about a hundred lines."""

OF_SHOPPERS: Final = (
    "cart_not_found",
    "invalid_discount_code",
    "out_of_stock",
    "order_not_found",
    "SKU_SOLD_OUT",
    "NOT_ENOUGH_UNITS",
)
"""Codes that a shop in good health answers, too."""


def findings_of(shop: Shop) -> Iterator[Finding]:
    """Raises `DatabaseUnavailable`."""
    yield from of_tables(shop.options)
    yield from _of_goods(shop)
    yield from _of_requests(shop)


def of_tables(options: RallyOptions) -> Iterator[Finding]:
    """What the settings leave out, or refuse."""
    if options.max_hook_body < LARGE_ORDER:
        sentence = f"max_hook_body is {options.max_hook_body} bytes: larger orders are refused, after the shopper paid"
        yield Finding("max_hook_body", "attention", sentence)
    if options.trust_created_price:
        sentence = "trust_created_price is on: a price that a shopper has edited in the page is what is paid"
        yield Finding("trust_created_price", "note", sentence)
    yield from _of_provinces(options)
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


def _of_provinces(options: RallyOptions) -> Iterator[Finding]:
    """Provinces that no address has, for they are written wrongly."""
    for entry in options.shipping:
        wrong = [name for name in entry.provinces if not any(is_known_province(land, name) for land in entry.countries)]
        if wrong:
            sentence = (
                f"[[channel.rally.shipping]] '{entry.id}' goes to {', '.join(wrong)}, and its countries have no such "
                "province: no address matches"
            )
            yield Finding("shipping provinces", "attention", sentence)
    wrong = [
        f"{tax.province} ({tax.country})" for tax in options.tax if not is_known_province(tax.country, tax.province)
    ]
    if wrong:
        sentence = f"[[channel.rally.tax]] names provinces there are not: {', '.join(wrong)}; those never fall due"
        yield Finding("tax provinces", "attention", sentence)


def _of_goods(shop: Shop) -> Iterator[Finding]:
    """A catalogue of which nothing can be bought, and why; the first article that can be ends the search."""
    options, reasons, currencies = shop.options, Counter[str](), Counter[str]()
    after, pages = "", 0
    while pages < PAGES:
        with shop.database.read() as connection:
            after, products = catalogue.page(connection, shop.channel, after, catalogue.MANY)
        for unit in (unit for product in products for unit in product.units):
            reason = _why_not_bought(unit, options)
            if not reason:
                return
            reasons[reason] += 1
            if reason == _OTHER_CURRENCY:
                currencies[unit.currency or ""] += 1
        pages += 1
        if not after:
            break
    least = "all" if not after else "the first"
    if currencies:
        named = ", ".join(sorted(currencies)[:NAMED])
        sentence = (
            f"{least} {currencies.total()} prices of the catalogue are in {named} and none is in {options.currency}, "
            "the channel's currency: nothing can be bought; mend `currency` of [channel.rally], or what RetailOps "
            "states"
        )
        yield Finding("prices", "attention", sentence)
    elif reasons:
        named = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        sentence = f"of {least} {reasons.total()} articles of the catalogue none can be bought: {named}"
        yield Finding("goods", "attention", sentence)
    else:
        yield Finding("goods", "note", "the catalogue is empty: nothing can be bought until RetailOps sends it")


_OTHER_CURRENCY: Final = "priced in another currency"


def _why_not_bought(unit: Item, options: RallyOptions) -> str:
    """Why no cart can have it whatever its stock, as the end of a sentence; "" where one can."""
    if not unit.sku.strip():
        return "without a SKU (`sku` of [channel.catalog])"
    if unit.price is None:
        return "without a price (`price` of [channel.catalog])"
    if unit.is_enabled is False:
        return "switched off by RetailOps (`enabled` and `not_sold_words` of [channel.catalog])"
    if not is_buyable(unit, options):
        return _OTHER_CURRENCY
    if unit.requires_shipping is False and not options.offers_only:
        return "not shipped, and Rally's checkout takes such carts only with offers_only"
    return ""


def _without_shipping(options: RallyOptions) -> set[str]:
    whole = {country for entry in options.shipping if not entry.provinces for country in entry.countries}
    parted = {country for entry in options.shipping if entry.provinces for country in entry.countries}
    return {country for country in parted - whole if not has_provinces(country)}


def _of_requests(shop: Shop) -> Iterator[Finding]:
    """Hooks, and beside them what the shop's own server asked for where it may."""
    with shop.database.read() as connection:
        answered = inbound.since(connection, shop.channel, GATEWAY, shop.clock() - LOOKED_BACK)
    carts = {item: count for item, count in answered.items() if item.topic == TOPIC}
    yield _finding("requests", "hooks", {item: count for item, count in answered.items() if item not in carts})
    if shop.options.storefront_key:
        yield _finding(TOPIC, "requests of the shop's server for a cart", carts)


def _finding(name: str, what: str, answered: Mapping[Answered, int]) -> Finding:
    """A refusal is for the operator where no shopper is the reason and the topic got no good answer besides."""
    total, good = sum(answered.values()), Counter[str]()
    for item, count in answered.items():
        good[item.topic] += count if item.status < 400 else 0
    refused = {item: count for item, count in answered.items() if item.status >= 400}
    if not refused:
        return Finding(name, "ok", f"none of {total} {what} of the last hour was refused")
    is_grave = any(not item.reason.startswith(OF_SHOPPERS) and not good[item.topic] for item in refused)
    named = "; ".join(
        f"{count}x {item.topic}: {item.status} {item.reason}" for item, count in list(refused.items())[:NAMED]
    )
    more = f"; and {len(refused) - NAMED} more reasons" if len(refused) > NAMED else ""
    sentence = f"{sum(refused.values())} of {total} {what} of the last hour were refused: {named}{more}"
    return Finding(name, "attention" if is_grave else "note", sentence)
