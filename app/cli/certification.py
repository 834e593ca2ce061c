"""What RetailOps is sent at certification, what it can carry, and what its answer means (SDK contract 1.8)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote, urlsplit

import msgspec

from app.cli.verify.bodies import NotAnObject, read_object
from app.cli.verify.keys import Secret
from app.cli.verify.target import ADDRESS_RULE, NO_HEADERS, NoAnswer, Target, is_address
from app.transport.replies import Reply

RETAILOPS_URL = "https://api.retailops.com"

CERTIFY_PATH = "/integration/channel/certify.json"

NOT_CERTIFIED = frozenset({"payment_credit"})
"""Callbacks that RetailOps added after its list for certification was made; sent only when requested by name."""

NAME_LENGTH = 40
"""Characters of an integration name.  Nothing is documented; the handle also holds the key."""

SHOWN = 500
"""Characters of a text of RetailOps that are shown."""

_HINTS = {
    400: "RetailOps could not read the request",
    401: "RetailOps does not accept the API key",
    403: "RetailOps does not accept the API key for this",
    404: "--retailops-url is not the address of RetailOps' API",
    405: "--retailops-url is not the address of RetailOps' API",
    429: "RetailOps limits requests; try again later",
}


class ActionResult(msgspec.Struct, frozen=True):
    """What RetailOps says of one callback."""

    action: str
    ok: bool
    message: str


class Certification(msgspec.Struct, frozen=True):
    """The outcome.  `status` is the HTTP status, None when no answer came; `faults` is empty where `ok`."""

    ok: bool
    status: int | None
    message: str
    actions: list[ActionResult]
    faults: list[str]


def name_rules(name: str) -> list[str]:
    """The rules an integration name breaks.

    RetailOps makes a handle of it, in capitals, blanks as underscores, an underscore and the key behind.
    """
    rules = []
    if not name:
        return ["the name must not be empty"]
    if re.search(r"[_\s]", name):
        rules.append("the name must hold neither underscores nor blanks; RetailOps splits name and key at underscores")
    if re.sub(r"[_\s]", "", name) and not re.fullmatch(r"[A-Za-z0-9.-]+", re.sub(r"[_\s]", "", name)):
        rules.append("the name may hold letters A to Z, digits, hyphens and dots only")
    if len(name) > NAME_LENGTH:
        rules.append(f"the name must have at most {NAME_LENGTH} characters")
    return rules


def address_rules(base_url: str) -> list[str]:
    """The rules a base URL breaks: RetailOps appends `/<callback>_v1` to it as text (SDK contract 1.1)."""
    if not is_address(base_url):
        return [ADDRESS_RULE]
    parts = urlsplit(base_url)
    rules = []
    if parts.query or parts.fragment or base_url.endswith(("?", "#")):
        rules.append("must have no query and no fragment; RetailOps appends the callback's name behind it")
    if parts.username is not None or parts.password is not None:
        rules.append("must hold no user name and no password; RetailOps would store them")
    return rules


def address_doubts(base_url: str) -> list[str]:
    """What may be meant, but not for RetailOps' own servers."""
    parts = urlsplit(base_url)
    doubts = []
    if parts.scheme == "http":
        doubts.append("--base-url: http sends the key and customers' addresses unencrypted; use https")
    if _is_private(parts.hostname or ""):
        doubts.append("--base-url: RetailOps' servers cannot reach an address of this machine or network")
    return doubts


def ask_retailops(
    target: Target,
    api_key: str,
    auth_key: str,
    base_url: str,
    name: str,
    actions: Sequence[str],
    *,
    key_in_header: bool = False,
) -> Certification:
    """Send the request.  No message of the outcome holds one of the keys.

    `key_in_header`: the key of the API stands in the header `apikey`, as RetailOps' own API takes it; otherwise in the
    query, as the SDK's tool sends it (SDK contract 9).
    """
    body = {
        "integration_auth_key": auth_key,
        "version": 1,
        "target_url": base_url.rstrip("/"),
        "supported_actions": list(actions),
        "integration_name": name,
    }
    try:
        query = "" if key_in_header else f"apikey={quote(api_key, safe='')}"
        headers = {"apikey": api_key} if key_in_header else NO_HEADERS
        answer = target.send("POST", target.path(CERTIFY_PATH), msgspec.json.encode(body), query, headers)
    except NoAnswer as error:
        fault = f"{error}; whether RetailOps went on is unknown" if error.rule == "timeout" else str(error)
        return Certification(False, None, "", [], [fault])
    return _judged(answer, actions, partial(Secret(api_key, auth_key).shown, most=SHOWN))


def _judged(answer: Reply, actions: Sequence[str], shown: Callable[[object], str]) -> Certification:
    faults = [] if answer.status == 200 else [_status_fault(answer.status)]
    try:
        said = read_object(answer.body)
    except NotAnObject as error:
        kind = shown(answer.headers.get("Content-Type"))
        faults.append(f"the answer of RetailOps {error}; it came {f'as {kind}' if kind else 'without a Content-Type'}")
        return Certification(False, answer.status, "", [], faults)
    message, status, code = (shown(said.get(name)) for name in ("message", "status", "ERRORCODE"))
    if said.get("ERROR"):
        faults.append(f"RetailOps' API gateway refused: {shown(said['ERROR'])}{f' ({code})' if code else ''}")
    elif said.get("status") != "success":
        faults.append(f"RetailOps says {status}: {message}" if status else "RetailOps did not say whether it succeeded")
    given = said.get("action_results")
    results = [
        ActionResult(shown(each.get("action")), each.get("status") == "success", shown(each.get("message")))
        for each in (given if isinstance(given, list) else [])
        if isinstance(each, dict)
    ]
    faults += [f"{result.action}: {result.message or 'failed'}" for result in results if not result.ok]
    named = {result.action for result in results}
    # Whether a success comes with a result for each action is not documented; one that has some must have all.
    faults += [f"{action}: RetailOps said nothing about it" for action in actions if results and action not in named]
    return Certification(not faults, answer.status, message, results, faults)


def _status_fault(status: int) -> str:
    hint = _HINTS.get(status, "")
    if 300 <= status < 400:
        hint = "redirects are not followed, for the API key would go along; correct --retailops-url"
    elif status >= 500:
        hint = "RetailOps itself failed; try again later"
    return f"RetailOps answered with status {status}" + (f": {hint}" if hint else "")


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".local", ".localhost", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
