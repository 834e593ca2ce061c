"""Sends RetailOps' catalogue to Pipe17: which of its products RetailOps has, under which id (contract 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final

import msgspec

from app.domain.catalogue import ProductChange, ProductSent
from app.errors import GatewayError, Refused, Unavailable
from app.gateways.calls import Call, read_note
from app.gateways.capabilities import CatalogueSink
from app.gateways.vendors.pipe17.connection.api import TOKEN, Api
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match
from app.gateways.vendors.pipe17.products.product_cache import PATH
from app.gateways.vendors.pipe17.products.product_rows import MAPPED, PUBLISHED, UNPUBLISHED, digest, fields_of, mapped
from app.gateways.vendors.pipe17.products.publishing import LastSent, Note, Sending, Unit, row_change, units_of
from app.gateways.wire_objects import Json
from app.records import catalogue_sync
from app.records.database import Database

MOST_FAILURES: Final = 3
"""Products in a row that Pipe17 may fail on before the others wait: more of them are no fault of one product."""


@dataclass(frozen=True, eq=False, repr=False)
class Products(CatalogueSink):
    """Sends products.  Used by one sender at a time (R13); what is so already at Pipe17 is not sent again."""

    _api: Api
    _integration: Integration
    _known: KnownProducts
    _database: Database | None

    batch = 100

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """A result for every product all of whose SKUs are settled; the others stay due.

        Raises a `GatewayError` when not one product could be settled.
        """
        with self._integration.using("catalog", call) as settings:
            sendings = [Sending(change, read_note(change.sent, Note) or {}) for change in changes]
            units = list(units_of(sendings))
            for unit in units:
                unit.sending.is_open = True
            try:
                self._send(units, settings, call)
            except GatewayError:
                if all(sending.is_open for sending in sendings):
                    raise
            return [sending.result() for sending in sendings if not sending.is_open]

    def _send(self, units: Sequence[Unit], settings: Pipe17Options, call: Call) -> None:
        matches = self._known.find({unit.sku for unit in units}, settings.skus, call, is_fresh=True)
        lacking = [unit for unit in units if matches[unit.sku].product is None and unit.is_enabled]
        unsure = {unit.sending for unit in lacking if not matches[unit.sku].is_sure}
        absent = [unit for unit in lacking if unit.sending not in unsure]
        left = set(unsure)
        failure: GatewayError | None = None
        try:
            matches |= self._create(absent, settings, call)
        except Unavailable as error:
            failure = _of_one(error)
            left |= {unit.sending for unit in absent if not unit.is_settled}
        in_a_row = 0
        for sending, own in groupby(units, attrgetter("sending")):
            if sending in left:
                continue
            try:
                for unit in own:
                    if not unit.is_settled:
                        self._send_one(unit, matches[unit.sku], settings, call)
            except Unavailable as error:
                failure = _of_one(error)
                in_a_row += 1
                if in_a_row == MOST_FAILURES:
                    break
            else:
                in_a_row = 0
                sending.is_open = False
        if failure is not None:
            raise failure
        if unsure and all(unit.sending in unsure for unit in units):
            raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")

    # A product that is there

    def _send_one(self, unit: Unit, match: Match, settings: Pipe17Options, call: Call) -> None:
        product, last = match.product, unit.last_sent
        if product is None:
            unit.settle(None)  # Switched off here and unknown there.
            return
        own = product.own
        if unit.item is None and own and last and own.ext_product_id not in ("", last.ext_product_id):
            return  # A product of RetailOps' other than the one we sent has the row now.
        if last is None and own is not None and own.status == UNPUBLISHED and unit.is_enabled:
            last = self._sent_elsewhere(unit.sku)
        change, state = row_change(self._api.integration_id, unit, match, last)
        fields, mark = self._own_fields(unit, product.owner, last, settings)
        if change or fields:
            try:
                self._put(product.product_id, change, fields, call)
            except Refused as error:
                unit.refuse(f"Pipe17 refused to note that RetailOps has it ({error.code})")
                return
            finally:
                self._known.forget([product.sku])
        unit.settle(LastSent(product.sku, unit.product_id, state, mark))

    def _sent_elsewhere(self, sku: str) -> LastSent | None:
        """What is noted of a SKU with the product that had it before, and gave it up."""
        if self._database is None:
            return None
        part = msgspec.json.encode(sku) + b":["
        with self._database.read() as connection:
            notes = catalogue_sync.notes_with(connection, self._api.channel, TOKEN, part)
        for note in notes:
            last = (read_note(note, Note) or {}).get(sku)
            if last is not None and last.state == "off":
                return last
        return None

    def _own_fields(self, unit: Unit, owner: str, last: LastSent | None, settings: Pipe17Options) -> tuple[Json, str]:
        """What else is to be written to a product we made ourselves, and the digest that says what was."""
        is_ours = owner == self._api.integration_id and settings.create_products
        if unit.item is None or not unit.is_enabled or not is_ours:
            return {}, last.fields if last else ""
        fields = fields_of(unit.item, unit.parent_id)
        mark = digest(fields)
        is_there = last is not None and last.fields == mark and not unit.sending.change.is_uncertain
        return ({} if is_there else fields), mark

    def _put(self, product_id: str, change: Json, fields: Json, call: Call) -> None:
        """Another integration's product takes our own row and nothing else, which is no error (contract 1.6)."""
        body = {**fields, **({MAPPED: change} if change else {})}
        try:
            self._api.change(PATH, product_id, body, call)
        except Refused:
            if not fields:
                raise
            if change:
                self._api.change(PATH, product_id, {MAPPED: change}, call)

    # A product that is not there

    def _create(self, units: Sequence[Unit], settings: Pipe17Options, call: Call) -> dict[str, Match]:
        """Create what may be created; a refused one that turns out to be there is sent like any other."""
        if not units or not settings.create_products:
            for unit in units:
                missing = settings.skus.pipe17_sku(unit.sku)
                unit.refuse("Pipe17 has no product of this SKU, and creating products is switched off", missing)
            return {}
        row_of = partial(mapped, self._api.integration_id, PUBLISHED)
        names = [settings.skus.pipe17_sku(unit.sku) for unit in units]
        fields = [fields_of(unit.item, unit.parent_id) for unit in units if unit.item is not None]
        bodies = [
            {"sku": name, **stated, MAPPED: row_of(unit.product_id, "" if name == unit.sku else unit.sku)}
            for unit, name, stated in zip(units, names, fields, strict=True)
        ]
        refused: dict[Unit, str] = {}
        try:
            for place, reason in self._api.post_each(PATH, bodies, ["sku"], call):
                unit = units[place]
                if reason:
                    refused[unit] = reason
                else:
                    unit.settle(LastSent(names[place], unit.product_id, "published", digest(fields[place])))
        finally:
            self._known.forget(names)
        if not refused:
            return {}
        again = self._known.find({unit.sku for unit in refused}, settings.skus, call, is_fresh=True)
        for unit, reason in refused.items():
            if again[unit.sku].product is None:
                unit.refuse(f"it could not be created: {reason}", settings.skus.pipe17_sku(unit.sku))
        return again


def _of_one(error: Unavailable) -> Unavailable:
    """The failure that may be the fault of one product; raises any other again, for all have it."""
    if not error.code.startswith("HTTP_5"):
        raise error
    return error
