"""Every vendor of the registry keeps the gateways' promise: accepted, or one of four errors that says truly
whether the work may have been done."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.deadline import Deadline
from app.deliveries.attempts import perform
from app.domain.commands import COMMANDS, OBSERVATIONS
from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, Unavailable
from app.gateways import EXAMPLE, REGISTRY, VENDORS
from app.gateways.calls import Accepted, Call, Kind, NotOurs, Verb
from app.sandbox.server import serve
from tests.gateways.conformance_targets import ANSWERED_S, PATIENCE_S, TARGETS, Target
from tests.stopwatch import Stopwatch

TOKENS = (*sorted(REGISTRY), EXAMPLE)
"""The vendors, and the made-up one that a new vendor is copied from."""

BODIES = ("an empty body", "JSON cut short", "JSON of a wrong type")
"""Answers that are whole and end well, and only say nothing."""

ENDLESS = ("silence", "dripping headers", "a dripping body")
"""What has to be given up."""

ANSWERS: list[tuple[str, dict[str, Any], type[GatewayError], bool]] = [
    ("400", {"kind": "status", "code": 400}, Refused, False),
    ("401", {"kind": "status", "code": 401}, Misconfigured, False),
    ("403", {"kind": "status", "code": 403}, Misconfigured, False),
    ("404", {"kind": "status", "code": 404}, Refused, False),
    ("422", {"kind": "status", "code": 422}, Refused, False),
    ("429", {"kind": "status", "code": 429, "retry_after": 7}, Unavailable, False),
    ("500", {"kind": "status", "code": 500}, Unavailable, True),
    ("502", {"kind": "status", "code": 502}, Unavailable, True),
    ("503", {"kind": "status", "code": 503, "retry_after": 7}, Unavailable, True),
    ("302", {"kind": "redirect", "location": "/elsewhere"}, BrokenReply, True),
    ("HTML with 200", {"kind": "html"}, BrokenReply, True),
    ("an empty body", {"kind": "empty"}, BrokenReply, True),
    ("JSON cut short", {"kind": "truncated_json"}, BrokenReply, True),
    ("JSON of a wrong type", {"kind": "wrong_type"}, BrokenReply, True),
    ("half a body", {"kind": "half_body"}, BrokenReply, True),
    ("a closed connection", {"kind": "refuse"}, Unavailable, True),
    ("a reset after the work", {"kind": "reset_after"}, Unavailable, True),
    ("silence", {"kind": "hang"}, Unavailable, True),
    ("dripping headers", {"kind": "drip_headers"}, Unavailable, True),
    ("a dripping body", {"kind": "drip_body"}, Unavailable, True),
]
"""A vendor's answer to a write, the error it is, and whether the work may have been done."""


def call(kind: Kind = "command") -> Call:
    return Call(Deadline.in_s(5), "request-1", kind)


def patience_of(answer: str) -> float:
    """In seconds."""
    return PATIENCE_S if answer in ENDLESS else ANSWERED_S


def kind_of(error: GatewayError) -> type[GatewayError]:
    """The one kind of the four that an error is; a vendor may have cases of its own of a kind."""
    (kind,) = (kind for kind in (Refused, Unavailable, Misconfigured, BrokenReply) if isinstance(error, kind))
    return kind


@pytest.fixture(params=TOKENS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    assert request.param in TARGETS, f"{request.param} has no entry in conformance_targets.py"
    with TARGETS[request.param]() as made:
        yield made


@pytest.mark.parametrize("token", TOKENS)
def test_every_vendor_declares_every_verb_and_has_what_it_declares(token: str) -> None:
    with TARGETS[token]() as made:
        gateway = made.gateway()
    assert gateway.token == VENDORS[token].token == token
    declared_verbs = set(gateway.commands.verbs)
    assert declared_verbs - {"push_catalog"} == set(COMMANDS) | (set(OBSERVATIONS) if gateway.observer else set())
    assert gateway.catalogue is not None or "push_catalog" in declared_verbs
    for verb, declared in gateway.commands.verbs.items():
        if isinstance(declared, Verb):
            assert verb in made.commands and callable(getattr(gateway.commands, verb))
        else:
            assert isinstance(declared, NotOurs) and declared.code.isupper() and declared.message


@pytest.mark.parametrize(("answer", "fault", "kind", "is_unknown"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_p13_a_failed_write_is_the_right_error_and_says_whether_it_may_be_done(
    target: Target, answer: str, fault: dict[str, Any], kind: type[GatewayError], is_unknown: bool
) -> None:
    gateway = target.gateway(patience_of(answer))
    target.server.faults.add({**fault, "match": {"method": "POST", "path_prefix": target.api_prefix}})
    if target.ignores_bodies and answer in BODIES:
        assert perform(gateway.commands, target.write, target.commands[target.write], call()) == Accepted()
        return
    with Stopwatch() as watch, pytest.raises(GatewayError) as caught:
        perform(gateway.commands, target.write, target.commands[target.write], call())
    assert (kind_of(caught.value), caught.value.outcome_unknown) == (kind, is_unknown)
    assert watch.took_s < 2 * PATIENCE_S + 0.5
    if "retry_after" in fault:
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(("answer", "fault", "kind", "is_unknown"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_p13_a_failed_read_is_never_taken_for_work_done(
    target: Target, answer: str, fault: dict[str, Any], kind: type[GatewayError], is_unknown: bool
) -> None:
    gateway = target.gateway(patience_of(answer))
    if gateway.orders is None:
        pytest.skip("nothing is read from it that could be taken for work")
    target.server.faults.add({**fault, "match": {"method": "GET", "path_prefix": target.api_prefix}})
    reads: list[Callable[[], object]] = [
        lambda: gateway.orders.find_order(target.order_refnum, call("question")),
        lambda: list(gateway.orders.fetch_orders(None, 2**45, call("question"))),
        lambda: perform(gateway.commands, target.write, target.commands[target.write], call()),
    ]
    if target.reads is not None:
        reads = target.reads(gateway)
    for read in reads:
        try:
            found = read()
        except GatewayError as error:
            assert not error.outcome_unknown
            assert kind_of(error) is kind
        else:
            assert answer == "404" and found is None, "a missing object is the only failure that is an answer"


def test_p13_a_vendor_that_is_not_there_has_done_nothing(target: Target) -> None:
    gateway = target.gateway()
    target.server.stop()
    for verb in target.commands:
        with pytest.raises(Unavailable) as caught:
            perform(gateway.commands, verb, target.commands[verb], call())
        assert not caught.value.outcome_unknown
    assert gateway.check(call("question")).state == "unreachable"


def test_p13_a_check_tells_a_refused_key_from_an_ill_vendor(target: Target) -> None:
    gateway = target.gateway()
    assert gateway.check(call("question")).state == "connected"
    target.server.faults.add({"kind": "status", "code": 401, "times": 1})
    assert gateway.check(call("question")).state == "refused"
    target.server.faults.add({"kind": "html", "times": 1})
    assert gateway.check(call("question")).state == "unreachable"


def test_p9_every_command_whose_answer_is_lost_is_found_again_where_it_says_so(target: Target) -> None:
    for verb, declared in target.gateway().commands.verbs.items():
        if not isinstance(declared, Verb) or declared.repeat != "lookup":
            continue
        with TARGETS[target.gateway().token]() as fresh:
            gateway = fresh.gateway()
            assert gateway.commands.look_up(verb, fresh.commands[verb], call()) is None
            for method in ("POST", "PUT"):
                fresh.server.faults.add({"kind": "reset_after", "match": {"method": method}})
            with pytest.raises(GatewayError) as caught:
                perform(gateway.commands, verb, fresh.commands[verb], call())
            assert caught.value.outcome_unknown
            fresh.server.faults.clear()
            assert isinstance(gateway.commands.look_up(verb, fresh.commands[verb], call()), Accepted), verb


def test_p8_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(target: Target) -> None:
    heard: list[dict[str, Any]] = []

    def thief(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        heard.append(environ)
        start("200 OK", [("Content-Type", "application/json")])
        return [b'{"success": true}']

    with serve(thief) as other:  # type: ignore[arg-type]
        for code in (301, 302, 303, 307, 308):
            target.server.faults.clear()
            target.server.faults.add({"kind": "redirect", "code": code, "location": other.url + "/"})
            gateway = target.gateway()
            for verb in target.commands:
                with pytest.raises(GatewayError):
                    perform(gateway.commands, verb, target.commands[verb], call())
            with pytest.raises(GatewayError):
                gateway.stock.push(target.stock, call("fact"))
    assert heard == []


def test_p20_no_key_and_no_word_of_a_vendor_is_in_an_error_or_a_log(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "dana@canary.example"

    def gossip(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start(said[-1], [("Content-Type", "application/json"), ("X-Note", canary)])
        return [b'{"success": false, "code": 400, "message": "%s", "errors": ["%s"]}' % ((canary.encode(),) * 2)]

    shown = []
    said = []
    with caplog.at_level(logging.DEBUG), serve(gossip) as server:  # type: ignore[arg-type]
        gateway = target.make(server.url + target.api_prefix, ANSWERED_S)
        for status in ("200 OK", "400 Bad", "401 No", "404 Gone", "409 Twice", "500 Ill"):
            said.append(status)
            attempts: list[Callable[[], object]] = [
                *(
                    functools.partial(perform, gateway.commands, verb, target.commands[verb], call())
                    for verb in target.commands
                ),
                functools.partial(gateway.stock.push, target.stock, call("fact")),
            ]
            for attempt in attempts:
                try:
                    shown.append(repr(attempt()))
                    assert target.ignores_bodies, "an answer of another form is no success"
                except GatewayError as error:
                    shown += [str(error), repr(error), error.message]
            shown.append(repr(gateway.check(call("question"))))
    everything = "\n".join([*shown, repr(vars(gateway)), repr(target.calls), caplog.text])
    assert target.calls and shown
    for secret in (*target.secrets, canary):
        assert secret not in everything
