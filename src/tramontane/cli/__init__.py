"""The command line: ``tramontane``.

Each command is a module of its own that is imported when the command is called, so that asking
for help or for the version doesn't load a service.
"""

from __future__ import annotations

import os

import click

from tramontane import __version__
from tramontane.cli.lazy import LazyGroup

COMMANDS = {
    "serve": ("tramontane.cli.serve", "Run the service: REST API, engine and executor in one process."),
    "executor": ("tramontane.cli.executor", "Run actions for a service, on any host."),
    "run": ("tramontane.cli.run", "Run a definition here and now, and watch it."),
    "validate": ("tramontane.cli.validate", "Check definitions and show what is wrong with them."),
    "test": ("tramontane.cli.test", "Run the test cases that stand beside definitions."),
    "why": ("tramontane.cli.why", "Tell what an execution waits for."),
    "fork": ("tramontane.cli.fork", "Begin anew in the middle of an ended execution."),
    "export": ("tramontane.cli.export", "Write what an execution did to a file."),
    "graph": ("tramontane.cli.graph", "Draw a workflow as Mermaid, DOT or SVG."),
    "schema": ("tramontane.cli.schema", "Print the language as JSON Schema, for editors."),
    "token": ("tramontane.cli.token", "Issue tokens, list them, revoke them."),
    "limit": ("tramontane.cli.limit", "Limit how many actions run at the same time."),
    "db": ("tramontane.cli.db", "Look after the database."),
}


@click.group(
    cls=LazyGroup,
    commands_by_module=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", message="tramontane %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """A durable workflow service that speaks Mistral's language (DSL v2) and REST API (v2)."""
    if os.environ.get("NO_COLOR"):
        context.color = False
