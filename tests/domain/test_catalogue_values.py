"""Prices, codes and flags of the catalogue have one meaning, whoever is told of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain import prices, spellings
from app.domain.catalogue import Item, Product, of_group
from app.domain.stock_levels import facility_key


@pytest.mark.parametrize(
    ("full", "sale", "counts"),
    [
        ("80.00", "0.00", None), ("80.00", "0", None), ("80.00", "-1", None), ("80.00", "80", None),
        ("80.00", "80.01", None), ("80.00", "0.004", None), ("80.00", "79.996", None),
        ("80.00", "79.99", "79.99"), ("80.00", "60.005", "60.01"), (None, "60", None), ("80.00", None, None),
    ],
)  # fmt: skip
def test_p36_a_sale_price_of_nothing_or_not_below_the_price_is_none(
    full: str | None, sale: str | None, counts: str | None
) -> None:
    price = prices.price(Decimal(full) if full else None, "USD")
    found = prices.sale_price(Decimal(sale) if sale else None, price, "USD")
    assert found == (Decimal(counts) if counts else None)


def test_a_price_has_the_decimals_of_its_currency_and_nothing_is_sold_for_nothing() -> None:
    assert prices.price(Decimal("12.345"), "USD") == Decimal("12.35")
    assert prices.price(Decimal("12.5"), "JPY") == 13 and prices.price(Decimal("1.2345"), "KWD") == Decimal("1.235")
    assert prices.price(Decimal("12.345"), "") == Decimal("12.35"), "where nobody said which currency"
    assert str(prices.price(Decimal("12.5"), "USD")) == "12.5", "what needs no rounding stays as it is written"
    assert prices.price(Decimal("0"), "USD") is prices.price(Decimal("-3"), "USD") is None
    assert prices.price(Decimal("0.004"), "USD") is None


def test_p36_flags_and_codes_are_read_without_regard_to_case() -> None:
    assert all(spellings.flag(word) for word in ("Yes", "TRUE", "1", " on ", "y", "Enabled"))
    assert not any(spellings.flag(word) for word in ("No", "FALSE", "0", "Off", "n", "disabled"))
    assert {spellings.currency(code) for code in ("usd", "USD", " uSd ")} == {"USD"}
    for word in ("perhaps", "", "2"):
        with pytest.raises(ValueError, match="yes or no"):
            spellings.flag(word)
    for code in ("$", "US", "USDX", "ÄÖÜ", "dıs", "uß", ""):
        with pytest.raises(ValueError, match="three letters"):
            spellings.currency(code)


def test_p36_no_amount_is_inherited_in_another_currency() -> None:
    def costs(variant: Item, product: Item) -> tuple[Decimal | None, Decimal | None, str | None]:
        [unit] = Product(product, (variant,)).units
        return unit.price, unit.sale_price, unit.currency

    dollars = Item(price=Decimal(80), sale_price=Decimal(60), currency="USD", title="Tee")
    assert costs(Item(sku="A"), dollars) == (80, 60, "USD")
    assert costs(Item(sku="A", currency="USD"), dollars) == (80, 60, "USD")
    assert costs(Item(sku="A", price=Decimal(75), currency="EUR"), dollars) == (75, None, "EUR")
    assert costs(Item(sku="A", currency="EUR"), dollars) == (None, None, "EUR"), "80 dollars are not 80 euros"
    anywhere = Item(price=Decimal(80), sale_price=Decimal(60))
    assert costs(Item(sku="A", currency="EUR"), anywhere) == (80, 60, "EUR"), "of no stated currency"
    blue = of_group(Item(currency="EUR", price=Decimal(70)), Item(sku="A"))
    assert costs(blue, dollars) == (70, None, "EUR"), "a colour between the product and its size"


def test_p36_a_facility_has_one_name_however_it_is_written() -> None:
    spelled = ("Z\u00fcrich Nord", "Zu\u0308rich Nord", " Z\u00dcRICH  nord ", "z\u00fcrich\u00a0nord")
    assert len({facility_key(name) for name in spelled}) == 1
    assert len({facility_key(name) for name in ("Zürich", "Zurich", "Zürich 2")}) == 3
