"""Rally's calls of a connector's hooks: signed, timed, and each answer is judged before it is used."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import requests

from app.sandbox import calls
from app.sandbox.bodies import readable
from app.sandbox.vendors.rally.answers import REGISTER, TOPICS, examine, examine_refusal
from app.sandbox.vendors.rally.findings import in_lines
from app.sandbox.vendors.rally.signing import HEADER, is_signed, sign, signed_message
from app.sandbox.vendors.rally.state import Copies, Merchant, State
from app.sandbox.vendors.rally.step_requests import Call

OFFERS_ONLY_HEADER = "X-Rally-Offers-Only"
_WRONG_SECRET = "a key this merchant never had"


class Step(msgspec.Struct):
    """What became of a call; `README.md` says what `outcome` means."""

    topic: str
    method: str
    url: str
    status: int = 0
    """0 for no answer."""
    outcome: str = "unreachable"
    error: str | None = None
    problems: list[str] = []
    warnings: list[str] = []
    answer: Any = None
    duration_ms: float = 0.0

    @property
    def is_good(self) -> bool:
        """True when Rally would go on with the checkout."""
        return self.outcome == "good"

    def add_problems(self, *problems: str) -> None:
        """Any makes the answer a faulty one."""
        self.problems += problems
        if self.problems:
            self.outcome, self.error = "faulty", "; ".join(self.problems[:5])


def call_hook(state: State, copies: Copies, call: Call) -> Step:
    """Calls and journals.  Do not hold the state's lock: the connector may call Rally meanwhile."""
    with state.lock:
        merchant = copies.merchant
        step = _begin(copies, call)
        patience_s = call.requested.patience_s or state.settings.hook_patience_s
    if step.url:
        begun = time.perf_counter()
        _send(merchant, call, step, patience_s)
        step.duration_ms = round((time.perf_counter() - begun) * 1000, 1)
    else:
        step.error = f"no hook is registered for {call.topic}"
    shown = ("status", "answer", "warnings", "duration_ms")
    with state.lock:
        state.record_call(
            {
                "direction": "sent",
                "merchant": merchant.organization_id,
                "method": step.method.upper(),
                "path": call.topic,
                "body": readable(call.body),
                "problems": step.problems + ([step.error] if step.error else []),
                "request_id": "",
                **{name: getattr(step, name) for name in shown},
            }
        )
    return step


def _begin(copies: Copies, call: Call) -> Step:
    """The step before anything is sent; without an address where no hook is registered."""
    hooks = copies.hooks
    fitting = [(hook["method"], hook["url"]) for hook in hooks if hook["type"] == call.topic]
    method, template = fitting[-1] if fitting else (TOPICS.hooks[call.topic].method, "")
    if call.topic == REGISTER:
        beside = next((hook["url"] for hook in hooks if "/:orgId" in hook["url"]), "")
        template = call.requested.url or (f"{beside.partition('/:orgId')[0]}/:orgId/{REGISTER}" if beside else "")
    organization_id, resource_id = (quote(one, safe="") for one in (copies.merchant.organization_id, call.resource_id))
    address = template.replace(":orgId", organization_id).replace(":resourceId", resource_id)
    warnings = [f"{len(fitting)} hooks are registered; the newest is called"] if len(fitting) > 1 else []
    return Step(call.topic, method, address, warnings=warnings)


def _send(merchant: Merchant, call: Call, step: Step, patience_s: float) -> None:
    requested, query, body = call.requested, urlencode(call.query), call.body
    headers = {"Accept": "application/json", "User-Agent": "rally-sandbox"}
    if body:
        headers["Content-Type"] = "application/json"
    if requested.offers_only:
        headers[OFFERS_ONLY_HEADER] = "1"
    if requested.sign != "none":
        own = merchant.secret(requested.key or merchant.api_keys[0])
        headers[HEADER] = sign(own if requested.sign == "right" else _WRONG_SECRET, signed_message(body, query))
    url = f"{step.url}?{query}" if query else step.url
    try:
        reply = calls.call(step.method, url, patience_s=patience_s, data=body or None, headers=headers)
    except requests.RequestException as error:
        step.error = f"no answer: {type(error).__name__}"
        return
    _judge(merchant, call, step, reply)


def _judge(merchant: Merchant, call: Call, step: Step, reply: requests.Response) -> None:
    step.status, step.answer = reply.status_code, readable(reply.content)
    if reply.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        step.warnings.append("Content-Type of the answer is not application/json")
    signature = reply.headers.get(HEADER, "")
    is_right = any(is_signed(merchant.secret(key), reply.content, signature) for key in merchant.api_keys)
    if call.requested.sign != "none" and not is_right:
        step.problems.append(f"{HEADER} of the answer is " + ("wrong" if signature else "missing"))
    if step.status == 200:
        found = examine(call, merchant.organization_id, step.answer)
        step.outcome = "good"
    else:
        found = examine_refusal(step.status, step.answer)
        step.outcome = "refused"
    step.warnings += found.warnings
    step.add_problems(*in_lines(found.problems))
    if step.outcome == "refused":
        step.error = f"{step.status} {step.answer['error_code']}: {step.answer['error']}"
