"""Pipe17's products by SKU: read in batches, and cached for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from cachetools import TLRUCache

from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import KEPT_S, Api
from app.gateways.vendors.pipe17.products.product_rows import Product, read_product, spelling

PATH: Final = "/products"

MISSING_KEPT_S: Final = 60.0
"""How long a SKU without a product counts as such: it may be created at any time."""

MANY: Final = 100
"""SKUs in one question, unless they are too long for an address."""

LONGEST_QUERY: Final = 1800
"""Characters of SKUs in one address; 2,000 in all are taken everywhere."""

CACHE_SIZE: Final = 50_000


class _Answer(NamedTuple):
    """What Pipe17 said of a SKU; as old as the question, for it may have changed before the answer came."""

    requested_at: float
    product: Product | None


class ProductCache:
    """The products that one key sees.  Thread-safe; two threads may ask for one product at a time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._answers: TLRUCache[str, _Answer] = TLRUCache(CACHE_SIZE, _believed_until, timer=api.now)
        self._times_forgotten = 0

    def find(self, skus: Sequence[str], call: Call, *, is_fresh: bool = False) -> dict[str, Product | None]:
        """Each product by its SKU, None where there is none; `is_fresh` asks again for all of them.

        A SKU that cannot stand in a request is left out.  Raises a `GatewayError` when a request fails.
        """
        named = dict.fromkeys(skus)
        with self._lock:
            answers = {} if is_fresh else {sku: item for sku in named if (item := self._answers.get(sku))}
        found = {sku: answer.product for sku, answer in answers.items()}
        for some in batches([sku for sku in named if sku not in found]):
            requested_at, times_forgotten = self._api.now(), self._times_forgotten
            shown = self._ask(some, call)
            found |= {sku: shown.get(sku) for sku in some}
            with self._lock:
                # What another thread had forgotten meanwhile may be known here as it was before.
                if times_forgotten == self._times_forgotten:
                    self._answers.update({sku: _Answer(requested_at, shown.get(sku)) for sku in some})
        return found

    def keep(self, products: Iterable[Product], requested_at: float) -> None:
        """What was read of these elsewhere, requested at a moment of the API's clock."""
        with self._lock:
            self._answers.update({product.sku: _Answer(requested_at, product) for product in products})

    def forget(self, skus: Iterable[str]) -> None:
        """These have just been written to, or changed at Pipe17."""
        with self._lock:
            self._times_forgotten += 1
            for sku in skus:
                self._answers.pop(sku, None)

    def _ask(self, skus: Sequence[str], call: Call) -> dict[str, Product]:
        """Raises `BrokenReply` when the list did not heed the SKUs: they would all read as unknown."""
        spellings = {spelling(sku) for sku in skus}
        found: dict[str, Product] = {}
        for rows in self._api.pages(PATH, {"sku": ",".join(skus)}, call):
            for product in filter(None, (read_product(row, self._api.integration_id) for row in rows)):
                if spelling(product.sku) not in spellings:
                    raise self._api.unreadable(PATH)
                found[product.sku] = product
            if found.keys() >= set(skus):
                break
        return found


def _believed_until(sku: str, answer: _Answer, now: float) -> float:
    return answer.requested_at + (MISSING_KEPT_S if answer.product is None else KEPT_S)


def batches(skus: Sequence[str]) -> Iterator[list[str]]:
    """Lists of SKUs that fit an address.  One with a comma cannot be requested, so it reads as unknown."""
    batch: list[str] = []
    length = 0
    for sku in skus:
        if "," in sku:
            continue
        size = len(quote(sku, safe="")) + 3
        if batch and (len(batch) == MANY or length + size > LONGEST_QUERY):
            yield batch
            batch, length = [], 0
        batch.append(sku)
        length += size
    if batch:
        yield batch
