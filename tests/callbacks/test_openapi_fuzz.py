"""schemathesis reads /openapi.json as a stranger would and tries what it describes."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest
import schemathesis
from flask import Flask
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from app.contract.schemas import load_contract


@pytest.mark.parametrize("callback", sorted(load_contract().callbacks))
def test_p5_what_openapi_describes_is_what_the_server_does(callback: str, build_app: Callable[..., Flask]) -> None:
    app = build_app(LOG_LEVEL="ERROR")
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operation = schema[f"/api/channel/{callback}_v1"]["POST"]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def try_it(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict):
            case.body["integration_auth_token"] = "RETAILOPS_SDK"
        reply = case.call()
        checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
        case.validate_response(reply, checks=checks)

    try_it()
