"""The blueprint of `POST /api/channel/<callback>_v1`: body in, answer out, one journal line each."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from functools import partial
from typing import Any

from flask import Blueprint, Response

from app import caller
from app.callbacks import body
from app.callbacks.application import REQUEST_ID, JsonReply, PlainView, Reply
from app.callbacks.large_bodies import PLACE, FreePlace, LargeBodies
from app.callbacks.replies import error_reply, rejection
from app.channel.dispatch import CallbackDispatcher
from app.channel.receiving import Note, Receiver
from app.contract.schemas import Callback, Contract
from app.deadline import Deadline
from app.errors import HttpError
from app.records.database import DatabaseUnavailable
from app.records.journal import Journal

log = logging.getLogger("app.callbacks")


def create_routes(
    contract: Contract,
    receiver: Receiver,
    dispatcher: CallbackDispatcher,
    journal: Journal,
    *,
    max_body: int,
    budget_s: float,
) -> Blueprint:
    """One route per schema file."""
    routes = Blueprint("callbacks", __name__, url_prefix="/api/channel")
    large_bodies = LargeBodies()

    def serve(callback: Callback, environ: dict[str, Any]) -> Reply:
        begun = time.perf_counter()
        note = Note()
        reply = _reply(
            callback, receiver, dispatcher, large_bodies, note, environ, max_body=max_body, budget_s=budget_s
        )
        if reply is None:
            return Response()  # nobody reads it: the request is served again
        journal.callback(
            name=callback.name,
            channel=note.channel,
            order_refnum=note.order_refnum,
            status=reply.status_code,
            outcome=note.outcome,
            duration_s=time.perf_counter() - begun,
            request_id=environ[REQUEST_ID],
            events=note.events,
            problems=note.problems,
        )
        if reply.status_code == 401:
            journal.unverified(environ["PATH_INFO"], reply.status_code)
        return reply

    for callback in contract.callbacks.values():
        routes.add_url_rule(
            f"/{callback.name}_v1",
            endpoint=callback.name,
            view_func=PlainView(partial(serve, callback)),
            methods=["POST"],
            provide_automatic_options=False,
        )
    return routes


def _reply(
    callback: Callback,
    receiver: Receiver,
    dispatcher: CallbackDispatcher,
    large_bodies: LargeBodies,
    note: Note,
    environ: dict[str, Any],
    *,
    max_body: int,
    budget_s: float,
) -> Reply | None:
    """The answer; None for a large body that has to wait for its place."""
    request_id: str = environ[REQUEST_ID]
    try:
        received = body.receive(environ, max_body, receiver.holder)
        given = caller.deadline.get()  # it counts from when the body was whole: how long that took is up to the caller
        deadline = given.within_s(budget_s) if given else Deadline.in_s(budget_s)
        caller.deadline.set(deadline)
        if not received.is_large:
            understood = receiver.read(callback, body.parse(received.read()), note)
            caller.channel.set(understood.key)
            return JsonReply(dispatcher.answer(understood, request_id, deadline, note))
        place = environ.get(PLACE) or FreePlace()
        with closing(received), large_bodies.turn(place, received.holder, deadline) as turn:
            if turn is None:
                return None
            understood = turn.parsed(lambda: receiver.read(callback, body.parse_large(received, max_body), note))
            caller.channel.set(understood.key)
            return JsonReply(dispatcher.answer(understood, request_id, deadline, note, turn.leave))
    except HttpError as error:
        note.outcome = error.code
        return rejection(error)
    except DatabaseUnavailable:
        note.outcome = "DATABASE_UNAVAILABLE"
        return rejection(
            HttpError(503, note.outcome, "this server's database is not available; send again", retry_after_s=10)
        )
    except Exception:
        note.outcome = "INTERNAL_FAULT"
        log.exception("%s failed", callback.name)
        return error_reply(500, "INTERNAL_FAULT", f"a fault of this server; request id {request_id}")
