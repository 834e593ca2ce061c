"""Registers the thirteen hooks Rally calls here, all of them each time, which also repairs a run that broke off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from app.domain.findings import Finding
from app.errors import GatewayError, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.merchant import shop_info_json
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.wire_objects import Json

ROOT: Final = "/rally/merchants/:orgId"
"""Where Rally finds this server's hooks; it fills in `:orgId` and `:resourceId` itself (contract 2.2)."""

TOPICS: Final[Mapping[str, tuple[str, str]]] = {
    "cart/create": ("post", "carts"),
    "cart/fetch": ("post", "carts/:resourceId"),
    "cart/update": ("put", "carts/:resourceId"),
    "cart/add": ("post", "carts/:resourceId/add"),
    "cart/remove": ("post", "carts/:resourceId/remove"),
    "order/create": ("post", "orders"),
    "order/update": ("put", "orders/:resourceId"),
    "order/fetch": ("get", "orders/:resourceId"),
    "orders/list": ("get", "orders"),
    "products/fetch": ("post", "products/search"),
    "categories/fetch": ("post", "categories/search"),
    "shipping_zones/fetch": ("get", "shipping-zones"),
    "store_information/fetch": ("get", "store"),
}
"""Verb and path of each hook (contract 3.1 [code:M2])."""

HookOutcome = Literal["registered", "removed", "failed", "not_tried"]


@dataclass(frozen=True)
class Step:
    """What became of one hook; `why` where it did not work."""

    hook: str
    outcome: HookOutcome
    url: str = ""
    why: str = ""


@dataclass
class HookReport:
    """What a run did; `registered` is how many hooks Rally lists afterwards, None when the list could not be read."""

    registered: int | None = None
    removed: list[Step] = field(default_factory=list)
    added: list[Step] = field(default_factory=list)
    shop_info: str = ""
    """Why Rally did not take the shop's profile, or ""."""
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        """True when exactly the thirteen are registered."""
        steps = [step for step in self.added if step.outcome == "registered"]
        return not self.trouble and len(steps) == self.registered == len(TOPICS)


class HookRegistry:
    """The hooks of one merchant's key, all of which belong to this connector."""

    def __init__(self, api: Api, options: RallyOptions, public_url: str) -> None:
        self._api = api
        self._options = options
        self._base = public_url.rstrip("/") + ROOT

    def finding_of(self, known: Sequence[Json]) -> Finding:
        """Whether these are exactly the thirteen and lead here."""
        topics = [str(hook.get("type") or "") for hook in known]
        missing = sorted(set(TOPICS) - set(topics))
        strange = sorted(
            {topic for topic, hook in zip(topics, known, strict=True) if not self._leads_here(topic, hook)}
        )
        said = f"{len(known)} of {len(TOPICS)} are registered"
        what_is_strange = "leading elsewhere than PUBLIC_URL, or with another verb"
        for faults, what in ((missing if known else [], "missing"), (strange, what_is_strange)):
            if faults:
                said += f"; {what}: {', '.join(faults)}"
        if not missing and not strange and len(known) == len(TOPICS):
            return Finding("hooks", "ok", said)
        return Finding("hooks", "attention", f"{said}; `channel rally hooks register` mends them")

    def _leads_here(self, topic: str, hook: Json) -> bool:
        """Without PUBLIC_URL nothing is known of where it should lead; a verb Rally does not show is no fault."""
        method, path = TOPICS.get(topic, ("", ""))
        is_address_right = self._base == ROOT or hook.get("url") == f"{self._base}/{path}"
        return bool(path) and is_address_right and str(hook.get("method") or method).lower() == method

    def register(self, call: Call) -> HookReport:
        """Take away every hook, register the thirteen, count them, send the shop's profile.

        A hook that fails does not stop the others, unless Rally cannot be reached or takes no key.
        """
        report = HookReport()
        try:
            self._remove_all(report, call)
            if report.trouble:
                return report
            self._add_all(report, call)
            report.registered = len(self._api.hooks(call))
        except GatewayError as error:
            report.trouble = error.message
            return report
        try:
            self._api.send("shop-info-update", shop_info_json(self._options), call)
        except GatewayError as error:
            report.shop_info = error.message
        return report

    def remove(self, call: Call) -> HookReport:
        """Take every hook away: Rally's checkout does not work any more."""
        report = HookReport()
        try:
            self._remove_all(report, call)
            if not report.trouble:
                report.registered = len(self._api.hooks(call))
        except GatewayError as error:
            report.trouble = error.message
        return report

    def _add_all(self, report: HookReport, call: Call) -> None:
        may_go_on = True
        for topic, (method, path) in TOPICS.items():
            url = f"{self._base}/{path}"
            if not may_go_on:
                report.added.append(Step(topic, "not_tried", url))
                continue
            try:
                self._api.add_hook(topic, url, method, call)
                report.added.append(Step(topic, "registered", url))
            except GatewayError as error:
                report.added.append(Step(topic, "failed", url, error.message))
                may_go_on = isinstance(error, Refused)

    def _remove_all(self, report: HookReport, call: Call) -> None:
        """Raises a `GatewayError` when the hooks cannot be listed."""
        for hook in self._api.hooks(call):
            hook_id, name = str(hook["id"]), str(hook.get("type") or hook["id"])
            url = str(hook.get("url") or "")
            try:
                self._api.remove_hook(hook_id, call)
                report.removed.append(Step(name, "removed", url))
            except (GatewayError, ValueError) as error:
                why = error.message if isinstance(error, GatewayError) else "its id cannot stand in an address"
                report.removed.append(Step(name, "failed", url, why))
                report.trouble = "an old hook could not be removed; nothing was registered, run this again"
                if isinstance(error, Unavailable):
                    return
