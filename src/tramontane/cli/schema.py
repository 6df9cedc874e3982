"""``tramontane schema``: the language as JSON Schema, for editors; the REST API as OpenAPI, for programs."""

from __future__ import annotations

import json

import click

from tramontane.api.routes import openapi_document
from tramontane.cli.documents import KINDS, Kind
from tramontane.cli.settings import WrongCallError
from tramontane.lang.schema import json_schema


@click.command("schema")
@click.option(
    "--kind", type=click.Choice(KINDS), help="Kind of document; without it one schema for all of them."
)
@click.option("--strict", is_flag=True, help="Leave out what is only taken with a warning.")
@click.option("--api", is_flag=True, help="Print the OpenAPI document of the REST API instead.")
def command(kind: Kind | None, strict: bool, api: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of definitions, for editors that complete and check YAML."""
    if api:
        if kind is not None or strict:
            raise WrongCallError("--api goes with neither --kind nor --strict")
        click.echo(json.dumps(openapi_document(), indent=1, ensure_ascii=False))
        return
    click.echo(json.dumps(json_schema(kind, strict=strict), indent=2, ensure_ascii=False))
