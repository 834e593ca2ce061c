"""One call of a vendor's API, as every gateway makes it: in its circumstances, and a read surely does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.errors import BrokenReply, GatewayError
from app.gateways.calls import Call
from app.transport.client import Reply, VendorClient


def send(
    client: VendorClient,
    method: str,
    path: str,
    call: Call,
    *,
    ids: Mapping[str, str] | None = None,
    params: Mapping[str, str | int] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    patience_s: float | None = None,
) -> Reply:
    """The complete answer, whatever its status; see `VendorClient.call`.  Raises a `GatewayError`."""
    return client.call(
        method,
        path,
        ids=ids,
        params=params,
        json_body=body,
        headers=headers,
        patience_s=patience_s,
        deadline=call.deadline,
        kind=call.kind,
        request_id=call.request_id,
    )


@contextmanager
def only_reading() -> Iterator[None]:
    """Whatever goes wrong inside, surely nothing was done at the vendor."""
    try:
        yield
    except GatewayError as error:
        error.outcome_unknown = False
        raise


def unreadable(vendor: str, path: str) -> BrokenReply:
    """The error for a read whose answer is not of the documented form; surely nothing was done."""
    error = BrokenReply("UNEXPECTED_FORM", f"{vendor} answered GET {path} without what it should hold")
    error.outcome_unknown = False
    return error
