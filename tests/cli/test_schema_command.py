"""``tramontane schema``."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from tramontane.api.routes import openapi_document
from tramontane.cli import main
from tramontane.lang.schema import json_schema


def schema(*arguments: str) -> Any:
    result = CliRunner().invoke(main, ["schema", *arguments])
    assert result.exit_code == 0
    return json.loads(result.output)


def test_it_prints_one_schema_for_all_documents() -> None:
    printed = schema()
    assert printed == json_schema()
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_prints_the_schema_of_one_kind() -> None:
    assert schema("--kind", "workbook")["required"] == ["version", "name"]
    assert "clause" not in schema("--kind", "actions")["$defs"]


def test_a_strict_schema_knows_no_other_attributes_of_a_workflow() -> None:
    assert "additionalProperties" not in schema()["$defs"]["workflow"]
    assert schema("--strict")["$defs"]["workflow"]["additionalProperties"] is False


def test_it_prints_the_description_of_the_rest_api() -> None:
    assert schema("--api") == json.loads(json.dumps(openapi_document()))


def test_the_rest_api_has_no_kinds_of_documents() -> None:
    assert CliRunner().invoke(main, ["schema", "--api", "--strict"]).exit_code == 2
