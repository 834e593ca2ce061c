"""The tables of a shop's prices: what shipping may be chosen, which taxes fall due, which coupons hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import marshmallow
import marshmallow.fields as mf
import marshmallow.validate as mv

from app.domain.countries import country_code
from app.options import Table, option, switch

MAX_AMOUNT = Decimal("999999999")


def _amount() -> mf.Decimal:
    return mf.Decimal(places=4, validate=mv.Range(Decimal(0), MAX_AMOUNT))


class CountryCode(mf.String):
    """A country's code of two or three letters in any case, read as two capital letters."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = country_code(str(super()._deserialize(value, attr, data, **kwargs)))
        if not code:
            raise marshmallow.ValidationError("must be an ISO 3166 code such as US")
        return code


def _filled() -> mf.String:
    return mf.String(
        validate=mv.Regexp(r"^\S(?:.{0,98}\S)?\Z", error="must be 1 to 100 characters, no blank at an end")
    )


@dataclass(frozen=True)
class Shipping:
    """A way of shipping a cart may choose."""

    id: str = option(_filled(), "Id of the choice at the checkout.")
    title: str = option(_filled(), "What the shopper reads.")
    price: Decimal = option(_amount(), "Price without tax.")
    countries: Sequence[str] = option(mf.List(CountryCode(), validate=mv.Length(min=1)), "Countries it goes to.")
    provinces: Sequence[str] = option(
        mf.List(_filled()), "Provinces alone, by code or name; empty: all of them.", default=tuple
    )
    free_over: Decimal | None = option(_amount(), "Goods, less discounts, from which it costs nothing.", default=None)
    retailops_code: str = option(mf.String(), "ship_service_code sent to RetailOps; empty: the id.", default="")
    description: str = option(mf.String(), "A further sentence for the shopper.", default="")


@dataclass(frozen=True)
class Tax:
    """A tax that falls due at an address; all that fit add up."""

    country: str = option(CountryCode(), "Country.")
    rate: Decimal = option(
        mf.Decimal(validate=mv.Range(Decimal(0), Decimal(1), max_inclusive=False)),
        "A fraction: 0.0825 is 8.25 percent.",
    )
    province: str = option(mf.String(), "Province by code or name; empty: the whole country.", default="")
    shipping: bool = option(switch(), "Shipping is taxed, too.", default=False)
    title: str = option(mf.String(), "What the shopper reads; empty: Tax.", default="")


@dataclass(frozen=True)
class Coupon:
    """A discount code: of percent, amount and free_shipping it has exactly one."""

    code: str = option(_filled(), "What the shopper types, in any case.")
    percent: Decimal | None = option(
        mf.Decimal(validate=mv.Range(Decimal(0), Decimal(100), min_inclusive=False)), "Per cent off the goods.",
        default=None,
    )  # fmt: skip
    amount: Decimal | None = option(_amount(), "Amount off the goods.", default=None)
    free_shipping: bool = option(switch(), "Shipping costs nothing.", default=False)
    minimum: Decimal = option(_amount(), "Goods from which it holds.", default=Decimal(0))

    @property
    def kinds(self) -> int:
        """How many of its three ways it states."""
        return (self.percent is not None) + (self.amount is not None) + self.free_shipping


def schema_of(declared: type[Any]) -> type[marshmallow.Schema]:
    """The marshmallow schema that reads one of these tables."""
    fields = {item.name: item.metadata["field"] for item in dataclasses.fields(declared)}

    class Reader(Table.from_dict(fields)):  # type: ignore[misc]
        @marshmallow.post_load
        def make(self, values: Mapping[str, Any], **_: Any) -> Any:
            return declared(**values)

    return Reader
