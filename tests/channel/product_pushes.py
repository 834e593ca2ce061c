"""Random pushes of products, and a plain model of what the catalogue then holds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

SKUS = "ABCDE"


def record(number: int, *variants: dict[str, Any], **general: Any) -> dict[str, Any]:
    """One object as a feed template puts it out; `SKU`, `Title` and so on only as far as they are given."""
    feed: dict[str, Any] = {"General": general} | ({"Variants": list(variants)} if variants else {})
    return {"object_data": {"id": number, "source_type": "product"}, "feed_data": feed}


@dataclass
class Told:
    """What is stated of one object."""

    sku: str = ""
    inside: int = 0
    parent_sku: str = ""
    title: str | None = None
    turn: tuple[int, int] = (0, 0)


@dataclass
class Model:
    """What was stated, and everything else worked out from it anew each time."""

    told: dict[int, Told] = field(default_factory=dict)

    def claims(self, sku: str) -> list[int]:
        return sorted((n for n, one in self.told.items() if one.sku == sku), key=lambda n: self.told[n].turn)[::-1]

    def parent(self, number: int) -> int:
        one = self.told[number]
        if one.inside or not one.parent_sku:
            return one.inside
        others = [other for other in self.claims(one.parent_sku) if other != number]
        outside = [other for other in others if not self.inside(other, {*others} - {number})]
        free = [other for other in outside if not self.inside(other, {number})]
        selves = [other for other in free if self.names_itself(other)]
        if named := [other for other in free if other not in selves]:
            return named[0]
        return 0 if self.names_itself(number) else [*selves, *outside, 0][0]

    def names_itself(self, number: int) -> bool:
        one = self.told[number]
        return not one.inside and one.parent_sku == one.sku

    def inside(self, number: int, hosts: set[int]) -> bool:
        seen = set()
        while (number := self.told[number].inside) and number not in seen:
            if number in hosts:
                return True
            seen.add(number)
        return False

    def above(self, number: int) -> list[int]:
        found = [number]
        while (parent := self.parent(found[-1])) and parent not in found:
            found.append(parent)
        return found[1:]

    def holder(self, sku: str) -> int:
        newest, *others = self.claims(sku)
        below = [other for other in others if newest in self.above(other)]
        return max(below, key=lambda other: self.above(other).index(newest), default=newest)

    def has_cycle(self) -> bool:
        return any(self.parent(([number, *self.above(number)])[-1]) for number in self.told)

    def sold(self) -> dict[str, tuple[str, str | None]]:
        groups = {self.parent(number) for number in self.told}
        found = {}
        for number, one in self.told.items():
            if number in groups or not one.sku or self.holder(one.sku) != number:
                continue
            line = [number, *self.above(number)]
            title = next((self.told[at].title for at in line if self.told[at].title), None)
            found[one.sku] = (str(line[-1]), title)
        return found


def changed(dice: random.Random, model: Model, turn: int) -> tuple[Model, list[dict[str, Any]]]:
    """A push of some objects: new SKUs, swaps, other parents, none; in any order, some inside of others."""
    after = Model({number: Told(**vars(one)) for number, one in model.told.items()})
    free = list(SKUS)
    dice.shuffle(free)
    numbers = dice.sample(range(1, 8), dice.randint(1, 5))
    top: list[dict[str, Any]] = []
    for place, number in enumerate(numbers):
        one = after.told.setdefault(number, Told())
        general: dict[str, Any] = {}
        if (dice.random() < 0.6 or not one.sku) and free:
            one.sku = general["SKU"] = free.pop()  # no SKU is stated twice in one push
            one.turn = (turn, place)
        elif not one.sku:
            del after.told[number]
            continue
        if dice.random() < 0.3:
            one.title = general["Title"] = f"title {turn}-{number}"
        made = record(number, **general)
        host = dice.choice(top) if top and dice.random() < 0.25 else None
        if host is not None:
            host["feed_data"].setdefault("Variants", []).append(made)
            one.inside = host["object_data"]["id"]
            continue
        if dice.random() < 0.4:
            one.inside, one.parent_sku = 0, dice.choice([*SKUS, "", ""])
            made["feed_data"]["General"]["ParentSKU"] = one.parent_sku or dice.choice(["", None])
        top.append(made)
    dice.shuffle(top)
    return after, top
