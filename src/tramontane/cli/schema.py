"""``tramontane schema``: the language as JSON Schema, for editors."""

from __future__ import annotations

import json

import click

from tramontane.cli.documents import KINDS, Kind
from tramontane.lang.schema import json_schema


@click.command("schema")
@click.option(
    "--kind", type=click.Choice(KINDS), help="Kind of document; without it one schema for all of them."
)
@click.option("--strict", is_flag=True, help="Leave out what is only taken with a warning.")
def command(kind: Kind | None, strict: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of definitions, for editors that complete and check YAML."""
    click.echo(json.dumps(json_schema(kind, strict=strict), indent=2, ensure_ascii=False))
