"""What a check says of a shop: settings that stop every checkout, goods of which none can be bought, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from app.domain.catalogue import Item
from app.domain.findings import Finding
from app.records import catalogue
from app.records.inbound import Answered
from app.records.statements import MANY
from app.storefront.addresses import has_provinces, is_known_province
from app.storefront.goods import is_buyable
from app.storefront.options import ShopOptions
from app.storefront.shop import Shop

NAMED: Final = 4
"""How many currencies or reasons are named one by one."""

PAGES: Final = 40
"""How many pages of the catalogue are searched for an article that a shopper can buy."""


def of_tables(shop: Shop) -> Iterator[Finding]:
    """What the settings leave out, or what no address matches."""
    options, shipping = shop.options, f"[[channel.{shop.source}.shipping]]"
    yield from _of_provinces(shop)
    if options.shipping:
        unreachable = sorted(_without_shipping(options))
        if unreachable:
            sentence = (
                f"{shipping} goes to {', '.join(unreachable)} by province alone, and addresses there "
                "name none: every checkout from there is refused; leave out `provinces`, or give the country an entry"
            )
            yield Finding("shipping", "attention", sentence)
    elif options.offers_only:
        yield Finding("shipping", "note", f"no {shipping}: only carts without goods to ship are taken")
    else:
        yield Finding("shipping", "attention", f"no {shipping}: every checkout with anything to ship is refused")
    if not options.tax:
        sentence = f"no [[channel.{shop.source}.tax]]: nothing is taxed, and prices exclude tax"
        yield Finding("tax", "note", sentence)


def _of_provinces(shop: Shop) -> Iterator[Finding]:
    """Provinces that no address has, for they are written wrongly."""
    options, table = shop.options, f"[[channel.{shop.source}"
    for entry in options.shipping:
        wrong = [name for name in entry.provinces if not any(is_known_province(land, name) for land in entry.countries)]
        if wrong:
            sentence = (
                f"{table}.shipping]] '{entry.id}' goes to {', '.join(wrong)}, and its countries have no such "
                "province: no address matches"
            )
            yield Finding("shipping provinces", "attention", sentence)
    wrong = [
        f"{tax.province} ({tax.country})" for tax in options.tax if not is_known_province(tax.country, tax.province)
    ]
    if wrong:
        sentence = f"{table}.tax]] names provinces there are not: {', '.join(wrong)}; those never fall due"
        yield Finding("tax provinces", "attention", sentence)


def of_goods(shop: Shop) -> Iterator[Finding]:
    """A catalogue of which nothing can be bought, and why; the first article that can be ends the search.

    Raises `DatabaseUnavailable`.
    """
    options, reasons, currencies = shop.options, Counter[str](), Counter[str]()
    least = "all"
    for number, products in enumerate(catalogue.pages(shop.database, shop.channel, MANY)):
        if number == PAGES:
            least = "the first"
            break
        for unit in (unit for product in products for unit in product.units):
            reason = _why_not_bought(unit, shop)
            if not reason:
                return
            reasons[reason] += 1
            if reason == _OTHER_CURRENCY:
                currencies[unit.currency or ""] += 1
    if currencies:
        named = ", ".join(sorted(currencies)[:NAMED])
        sentence = (
            f"{least} {currencies.total()} prices of the catalogue are in {named} and none is in {options.currency}, "
            f"the channel's currency: nothing can be bought; mend `currency` of [channel.{shop.source}], or what "
            "RetailOps states"
        )
        yield Finding("prices", "attention", sentence)
    elif reasons:
        named = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        sentence = f"of {least} {reasons.total()} articles of the catalogue none can be bought: {named}"
        yield Finding("goods", "attention", sentence)
    else:
        yield Finding("goods", "note", "the catalogue is empty: nothing can be bought until RetailOps sends it")


_OTHER_CURRENCY: Final = "priced in another currency"


def _why_not_bought(unit: Item, shop: Shop) -> str:
    """Why no cart can have it whatever its stock, as the end of a sentence; "" where one can."""
    if not unit.sku.strip():
        return "without a SKU (`sku` of [channel.catalog])"
    if unit.price is None:
        return "without a price (`price` of [channel.catalog])"
    if unit.is_enabled is False:
        return "switched off by RetailOps (`enabled` and `not_sold_words` of [channel.catalog])"
    if not is_buyable(unit, shop.options):
        return _OTHER_CURRENCY
    if unit.requires_shipping is False and not shop.options.offers_only:
        return f"not shipped, and {shop.vendor}'s checkout takes such carts only with offers_only"
    return ""


def _without_shipping(options: ShopOptions) -> set[str]:
    whole = {country for entry in options.shipping if not entry.provinces for country in entry.countries}
    parted = {country for entry in options.shipping if entry.provinces for country in entry.countries}
    return {country for country in parted - whole if not has_provinces(country)}


def of_requests(name: str, what: str, answered: Mapping[Answered, int], of_shoppers: tuple[str, ...]) -> Finding:
    """How the requests of the last hour were answered; `of_shoppers`: reasons that a shop in good health gives, too.

    A refusal is for the operator where no shopper is the reason and the topic got no good answer besides.
    """
    total, good = sum(answered.values()), Counter[str]()
    for item, count in answered.items():
        good[item.topic] += count if item.status < 400 else 0
    refused = {item: count for item, count in answered.items() if item.status >= 400}
    if not refused:
        return Finding(name, "ok", f"none of {total} {what} of the last hour was refused")
    is_grave = any(not item.reason.startswith(of_shoppers) and not good[item.topic] for item in refused)
    named = "; ".join(
        f"{count}x {item.topic}: {item.status} {item.reason}" for item, count in list(refused.items())[:NAMED]
    )
    more = f"; and {len(refused) - NAMED} more reasons" if len(refused) > NAMED else ""
    sentence = f"{sum(refused.values())} of {total} {what} of the last hour were refused: {named}{more}"
    return Finding(name, "attention" if is_grave else "note", sentence)
