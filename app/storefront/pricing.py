"""What a cart costs: rows, coupons, shipping and taxes, so that every total is the sum of what is shown.

The one rounding rule: an amount is rounded half up to the currency's smallest unit when its row is made, and
nothing is rounded afterwards.  Rows are: a unit's price; one coupon's amount, spread over the rows of goods so
that the shares add up to it; and each tax of each row and of shipping.  Totals are sums of rows.

A row at a given price takes no discount: a checkout's own offers are exempt from coupons (Rally contract 9).  What is
reached of a coupon's minimum and of free shipping is what the shopper spends, such rows included.

Taxes are due on goods less discounts, and on shipping less discounts where the table says so; prices never
include them.  The settings are the tables `shipping`, `tax` and `coupon` of the vendor's own table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from app.domain.prices import decimals
from app.storefront.addresses import has_provinces, is_same_province
from app.storefront.options import ShopOptions
from app.storefront.order_document import Address, DiscountRow, Line, ShippingLine, TaxRow
from app.storefront.price_tables import Coupon, Shipping, Tax

ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Priced:
    """A cart with its amounts.  `offers` is what may be chosen for the address, cheapest first."""

    lines: tuple[Line, ...]
    offers: tuple[ShippingLine, ...]
    chosen: ShippingLine | None
    discounts: tuple[DiscountRow, ...]
    taxes: tuple[TaxRow, ...]

    @property
    def subtotal(self) -> Decimal:
        """Goods before tax and discounts."""
        return sum((line.subtotal for line in self.lines), ZERO)

    @property
    def total(self) -> Decimal:
        """What the shopper would pay."""
        return (
            self.subtotal
            + (self.chosen.subtotal if self.chosen else ZERO)
            + sum((row.tax_amount for row in self.taxes), ZERO)
            - sum((row.amount for row in self.discounts), ZERO)
        )


def smallest_unit(currency: str) -> Decimal:
    """What amounts are whole multiples of."""
    return Decimal(1).scaleb(-decimals(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Half up to the currency's smallest unit."""
    return amount.quantize(smallest_unit(currency), rounding=ROUND_HALF_UP)


def price(
    lines: Sequence[Line], address: Address | None, coupons: Collection[str], chosen: str, options: ShopOptions
) -> Priced:
    """The amounts of these lines at this address.

    `coupons` are codes as configured; one that does not hold for these goods takes nothing off.  `chosen` is the
    shipping requested; the cheapest is taken where it is not offered (Rally contract 4.6).
    """
    currency, place = options.currency, address or Address()
    goods = [_row(line, currency) for line in lines]
    held = [coupon for code in coupons if (coupon := coupon_of(code, options)) and _holds(coupon, goods)]
    shares = [ZERO] * len(goods)
    discounts = []
    for coupon in held:
        if coupon.free_shipping:
            continue
        taken = _spread(coupon, goods, shares, currency)
        shares = [before + more for before, more in zip(shares, taken, strict=True)]
        discounts.append(_discount(coupon, sum(taken, ZERO)))
    taxes = [tax for tax in options.tax if _is_due(tax, place)]
    due = [ZERO] * len(taxes)
    priced = tuple(
        _taxed(msgspec.structs.replace(line, discount_amount=share), taxes, due, currency)
        for line, share in zip(goods, shares, strict=True)
    )
    free = next((coupon for coupon in held if coupon.free_shipping), None)
    worth = sum((line.subtotal - line.discount_amount for line in priced), ZERO)
    offers = _offers(priced, place, worth, taxes, free is not None, options)
    taken_offer = next((offer for offer in offers if offer.external_id == chosen), offers[0] if offers else None)
    if taken_offer is not None:
        for at, tax in enumerate(taxes):
            due[at] += _tax_of(_taxed_part(taken_offer), tax, currency) if tax.shipping else ZERO
        if free is not None:
            discounts.append(_discount(free, taken_offer.discount_amount))
    rows = tuple(
        TaxRow(title=tax.title or "Tax", tax_rate=tax.rate, tax_amount=amount)
        for tax, amount in zip(taxes, due, strict=True)
    )
    return Priced(priced, offers, taken_offer, tuple(discounts), rows)


def coupon_of(code: str, options: ShopOptions) -> Coupon | None:
    """The coupon of this code, in whatever case it was typed."""
    known = code.strip().casefold()
    return next((coupon for coupon in options.coupon if coupon.code.casefold() == known), None)


def holds(coupon: Coupon, lines: Sequence[Line], options: ShopOptions) -> bool:
    """Whether the goods reach the coupon's minimum, and there is something to take it off."""
    return _holds(coupon, [_row(line, options.currency) for line in lines])


def needs_province(country_code: str, options: ShopOptions) -> bool:
    """True when shipping or tax differs within the country, and its addresses name a province at all."""
    is_divided = any(entry.provinces and country_code in entry.countries for entry in options.shipping) or any(
        tax.province and tax.country == country_code for tax in options.tax
    )
    return is_divided and has_provinces(country_code)


def is_deliverable(address: Address | None, options: ShopOptions) -> bool:
    """True when enough of the address is known to say what shipping there costs.

    No table of ours goes by the postcode, so nobody has to name one.
    """
    if address is None or not address.country_code:
        return False
    return bool(address.province) or not needs_province(address.country_code, options)


def _row(line: Line, currency: str) -> Line:
    unit = rounded(line.discounted_price, currency)
    return msgspec.structs.replace(
        line, price=rounded(line.price, currency), discounted_price=unit, subtotal=unit * line.quantity
    )


def _holds(coupon: Coupon, goods: Sequence[Line]) -> bool:
    worth = sum((line.subtotal for line in goods), ZERO)
    has_goods = coupon.free_shipping or any(not line.is_price_given for line in goods)
    return bool(goods) and has_goods and worth >= coupon.minimum


def _spread(coupon: Coupon, goods: Sequence[Line], shares: Sequence[Decimal], currency: str) -> list[Decimal]:
    """What the coupon takes off each row: rounded running totals, so that no cent is lost or taken twice."""
    left = [ZERO if line.is_price_given else line.subtotal - share for line, share in zip(goods, shares, strict=True)]
    worth = sum(left, ZERO)
    discount = worth * coupon.percent / 100 if coupon.percent is not None else coupon.amount or ZERO
    amount = min(rounded(discount, currency), worth)
    taken, reached, given = [], ZERO, ZERO
    for part in left:
        reached += part
        upto = rounded(amount * reached / worth, currency) if worth else ZERO
        taken.append(upto - given)
        given = upto
    return taken


def _discount(coupon: Coupon, amount: Decimal) -> DiscountRow:
    return DiscountRow(
        external_id=coupon.code,
        name=coupon.code,
        subtype="free_shipping" if coupon.free_shipping else "total_price",
        amount=amount,
    )


def _is_due(tax: Tax, place: Address) -> bool:
    if tax.country != place.country_code:
        return False
    return not tax.province or is_same_province(tax.country, tax.province, place.province)


def _taxed(line: Line, taxes: Sequence[Tax], due: list[Decimal], currency: str) -> Line:
    """The row with its taxes, which are counted in `due`, too."""
    if not line.taxable or not taxes:
        return line
    amounts = [_tax_of(line.subtotal - line.discount_amount, tax, currency) for tax in taxes]
    for at, amount in enumerate(amounts):
        due[at] += amount
    rate = sum((tax.rate for tax in taxes), ZERO)
    return msgspec.structs.replace(line, tax_rate=rate, tax_amount=sum(amounts, ZERO))


def _offers(
    goods: Sequence[Line], place: Address, worth: Decimal, taxes: Sequence[Tax], is_free: bool, options: ShopOptions
) -> tuple[ShippingLine, ...]:
    if not is_deliverable(place, options) or not any(line.requires_shipping for line in goods):
        return ()
    found = [
        _offer(entry, worth, taxes, is_free, options.currency) for entry in options.shipping if _goes(entry, place)
    ]
    return tuple(sorted(found, key=lambda offer: offer.subtotal))


def _goes(entry: Shipping, place: Address) -> bool:
    if place.country_code not in entry.countries:
        return False
    return not entry.provinces or any(
        is_same_province(place.country_code, name, place.province) for name in entry.provinces
    )


def _offer(entry: Shipping, worth: Decimal, taxes: Sequence[Tax], is_free: bool, currency: str) -> ShippingLine:
    costs_nothing = entry.free_over is not None and worth >= entry.free_over
    offer = ShippingLine(
        external_id=entry.id,
        title=entry.title,
        ship_code=entry.retailops_code or entry.id,
        description=entry.description,
        subtotal=ZERO if costs_nothing else rounded(entry.price, currency),
    )
    if is_free:
        offer = msgspec.structs.replace(offer, discount_amount=offer.subtotal)
    taxing = [tax for tax in taxes if tax.shipping]
    return msgspec.structs.replace(
        offer,
        tax_rate=sum((tax.rate for tax in taxing), ZERO),
        tax_amount=sum((_tax_of(_taxed_part(offer), tax, currency) for tax in taxing), ZERO),
    )


def _taxed_part(offer: ShippingLine) -> Decimal:
    return offer.subtotal - offer.discount_amount


def _tax_of(amount: Decimal, tax: Tax, currency: str) -> Decimal:
    return rounded(amount * tax.rate, currency)
