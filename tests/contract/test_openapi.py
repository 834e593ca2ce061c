"""The published description says what the schemas say, in words OpenAPI 3.0 knows."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import jsonschema
import schemathesis

from app.contract.openapi import openapi, translated
from app.contract.schemas import Contract

KNOWN = {
    "title", "description", "type", "properties", "required", "items", "enum", "anyOf", "not", "nullable",
    "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format",
}  # fmt: skip


def as_draft_4(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as a validator reads it: `nullable` adds null to the type beside it."""
    if isinstance(schema, list):
        return [as_draft_4(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: as_draft_4(part) for key, part in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        plain["type"] = [plain["type"], "null"]
    return plain


def keywords(schema: dict[str, Any]) -> set[str]:
    found = set(schema)
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        found |= keywords(part)
    return found | (keywords(schema["items"]) if "items" in schema else set())


def test_examples_satisfy_the_description_and_refused_bodies_do_not(
    contract: Contract, fixtures: dict[str, Any], refused: dict[str, Any], answers: dict[str, Any]
) -> None:
    requests = {name: as_draft_4(translated(one.request_schema)) for name, one in contract.callbacks.items()}
    for file, body in fixtures.items():
        jsonschema.Draft4Validator(requests[file.split("_v1")[0]]).validate(body)
    for file, case in refused.items():
        name = max((name for name in requests if file.startswith(name + "_")), key=len)
        if case["rule"] != "anyOf":
            assert not jsonschema.Draft4Validator(requests[name]).is_valid(case["body"]), file
    for name, answer in answers.items():
        schema = as_draft_4(translated(contract.callbacks[name].answer_schema))
        jsonschema.Draft4Validator(schema).validate(answer)


def test_only_keywords_of_openapi_are_used(contract: Contract) -> None:
    for callback in contract.callbacks.values():
        for schema in (callback.request_schema, callback.answer_schema):
            assert keywords(translated(schema)) <= KNOWN


def test_every_process_describes_itself_in_the_same_bytes() -> None:
    program = "from app.contract import openapi, schemas; print(openapi.openapi(schemas.load_contract(), ''))"
    described = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(described) == 1


def test_schemathesis_can_use_it(contract: Contract) -> None:
    document = openapi(contract, "http://127.0.0.1:5000")
    assert document["openapi"] == "3.0.3"
    assert document["servers"] == [{"url": "http://127.0.0.1:5000"}]
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    operations = {result.ok().path for result in schema.get_all_operations()}
    assert operations == {f"/api/channel/{name}_v1" for name in contract.callbacks}
    for responses in (path["post"]["responses"] for path in document["paths"].values()):
        assert set(responses) == {"200", "400", "401", "405", "413", "500", "503"}
