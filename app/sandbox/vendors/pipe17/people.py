"""What a person can play on Pipe17's page: a shop sells something, or calls a shipping request off."""

from __future__ import annotations

from collections.abc import Mapping

from app.sandbox.bodies import Failure, Json
from app.sandbox.page import Field, Play, Result
from app.sandbox.vendors.pipe17 import fulfilments
from app.sandbox.vendors.pipe17.seed import add_shipments
from app.sandbox.vendors.pipe17.state import State

_OPEN = ("readyForFulfillment", "sentToFulfillment", "partialFulfillment")


def plays(state: State) -> list[Play]:
    """Shipping requests to make, and those that can be cancelled."""

    how_many = Field("count", "How many", "1", "number")

    def make(form: Mapping[str, str]) -> Result:
        count = how_many.whole(form)
        with state.lock:
            made = add_shipments(state, count)
            return Result(True, f"{len(made)} shipping requests wait in the queue", [_row(row) for row in made])

    def cancel(form: Mapping[str, str]) -> Result:
        with state.lock:
            shipment = state.tables["shipments"].get(form.get("shipment", ""))
            if shipment is None:
                raise Failure(404, "there is no such shipping request")
            fulfilments.cancel_shipment(state, shipment, "canceledRestock", None)
            return Result(True, "Cancelled before it was shipped", [_row(shipment)])

    about = "Orders of a shop, routed to our locations; `channel send order_pull` hands them to RetailOps."
    found = [Play("shipments", "Make shipping requests", about, "Make them", [how_many], make)]
    open_ones = [row for row in state.tables["shipments"].values() if row["status"] in _OPEN][-50:]
    if open_ones:
        choices = {
            row["shipmentId"]: f"{row['extOrderId'] or row['extShipmentId']}: {row['status']}"
            for row in reversed(open_ones)
        }
        which = Field("shipment", "Which", "", "choice", choices)
        about = "The shop's customer calls the order off."
        found.append(Play("cancel", "Cancel a shipping request", about, "Cancel it", [which], cancel))
    return found


def _row(shipment: Json) -> Json:
    return {name: shipment.get(name, "") for name in ("shipmentId", "extOrderId", "status")}
