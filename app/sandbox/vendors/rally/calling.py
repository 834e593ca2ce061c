"""Rally's calls of a connector's hooks: signed, timed, and each answer is judged before it is used."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import requests

from app.sandbox.bodies import Json, encode, readable
from app.sandbox.vendors.rally.answers import REGISTER, examine, examine_refusal, topic_named
from app.sandbox.vendors.rally.signing import HEADER, is_signed, sign, signed_message
from app.sandbox.vendors.rally.state import Merchant, State

OFFERS_ONLY_HEADER = "X-Rally-Offers-Only"
_WRONG_SECRET = "a key this merchant never had"
_NO_ANSWER = 0


class Call(msgspec.Struct):
    """One hook to call.  `sign` is `right`, `wrong` or `none`; `body` is None for none."""

    topic: str
    resource_id: str = ""
    body: bytes | None = None
    query: dict[str, int] = {}
    sign: str = "right"
    key: str = ""
    is_offers_only: bool = False
    url: str = ""
    patience_s: float | None = None


class Step(msgspec.Struct):
    """What became of a call; see the package for `outcome`."""

    topic: str
    method: str
    url: str
    status: int
    outcome: str
    error: str | None
    problems: list[str]
    warnings: list[str]
    answer: Any
    duration_ms: float

    @property
    def is_good(self) -> bool:
        """True when Rally would go on with the checkout."""
        return self.outcome == "good"


def call_hook(state: State, organization_id: str, call: Call) -> Step:
    """Calls and journals.  Do not hold the state's lock: the connector may call Rally meanwhile."""
    with state.lock:
        merchant = msgspec.structs.replace(state.merchant(organization_id))
        method, template, warnings = _target(state, organization_id, call)
        patience_s = call.patience_s or state.settings.hook_patience_s
    url = template.replace(":orgId", quote(organization_id, safe="")).replace(
        ":resourceId", quote(call.resource_id, safe="")
    )
    step = Step(call.topic, method, url, _NO_ANSWER, "unreachable", None, [], warnings, None, 0.0)
    if not url:
        step.error = f"no hook is registered for {call.topic}"
    else:
        begun = time.perf_counter()
        _send(merchant, call, step, patience_s)
        step.duration_ms = round((time.perf_counter() - begun) * 1000, 1)
    with state.lock:
        state.record_call(
            {
                "direction": "sent",
                "merchant": organization_id,
                "method": method.upper(),
                "path": call.topic,
                "status": step.status,
                "duration_ms": step.duration_ms,
                "body": readable(call.body or b""),
                "answer": step.answer,
                "problems": step.problems + ([step.error] if step.error else []),
                "warnings": step.warnings,
                "request_id": "",
            }
        )
    return step


def _target(state: State, organization_id: str, call: Call) -> tuple[str, str, list[str]]:
    """Verb, address with its placeholders (empty: none registered), and what is odd about it."""
    hooks = state.copies[organization_id].hooks
    if call.topic == REGISTER:
        beside = next((hook["url"] for hook in hooks if "/:orgId" in hook["url"]), "")
        found = beside.partition("/:orgId")[0] + "/:orgId/register/callback" if beside else ""
        return "post", call.url or found, []
    fitting = [hook for hook in hooks if hook["type"] == call.topic]
    topic = topic_named(call.topic)
    assert topic is not None
    if not fitting:
        return topic.method, "", []
    warnings = [f"{len(fitting)} hooks are registered; the newest is called"] if len(fitting) > 1 else []
    return fitting[-1]["method"], fitting[-1]["url"], warnings


def _send(merchant: Merchant, call: Call, step: Step, patience_s: float) -> None:
    query = urlencode(call.query)
    body = call.body or b""
    headers = {"Accept": "application/json", "User-Agent": "rally-sandbox"}
    if body:
        headers["Content-Type"] = "application/json"
    if call.is_offers_only:
        headers[OFFERS_ONLY_HEADER] = "1"
    if call.sign != "none":
        secret = merchant.secret(call.key or merchant.api_keys[0]) if call.sign == "right" else _WRONG_SECRET
        headers[HEADER] = sign(secret, signed_message(body, query))
    try:
        with requests.Session() as session:
            session.trust_env = False
            reply = session.request(
                step.method,
                f"{step.url}?{query}" if query else step.url,
                data=body or None,
                headers=headers,
                timeout=patience_s,
                allow_redirects=False,
            )
    except requests.RequestException as error:
        step.error = f"no answer: {type(error).__name__}"
        return
    step.status = reply.status_code
    step.answer = readable(reply.content)
    if reply.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        step.warnings.append("Content-Type of the answer is not application/json")
    signature = reply.headers.get(HEADER, "")
    if call.sign != "none" and not any(is_signed(secret, reply.content, signature) for secret in merchant.secrets()):
        step.problems.append(f"{HEADER} of the answer is " + ("wrong" if signature else "missing"))
    if reply.status_code == 200:
        found = examine(
            call.topic,
            merchant.organization_id,
            call.resource_id,
            step.answer,
            names_payment=names_payment(call),
        )
    else:
        found = examine_refusal(reply.status_code, step.answer)
    step.problems += found.problem_lines()
    step.warnings += found.warnings
    if step.problems:
        step.outcome, step.error = "faulty", "; ".join(step.problems[:5])
    elif reply.status_code == 200:
        step.outcome = "good"
    else:
        step.outcome = "refused"
        step.error = f"{reply.status_code} {step.answer['error_code']}: {step.answer['error']}"


def names_payment(call: Call) -> bool:
    """Whether the request says how the shopper paid."""
    sent = readable(call.body or b"")
    return isinstance(sent, dict) and bool(sent.get("payment_method"))


def as_body(value: Json) -> bytes:
    """The very bytes that are signed and sent."""
    return encode(value)
