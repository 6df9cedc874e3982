"""The demo: starts the service, uploads a workflow over REST, runs it, shows it live, and cleans up.

What is started here is what anybody would start: ``tramontane serve`` with a database file, and a small
server that plays the outside world (:mod:`sources`). Ends with status 0 only if the workflow did what
it should.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError
from rich.console import Console
from rich.json import JSON
from sources import serve_sources

from tramontane.cli.rest import RestClient, RestError, connect
from tramontane.cli.view import open_view
from tramontane.cli.watch import Watch

WORKFLOW: Final = Path(__file__).with_name("restock.yaml")
_SETTINGS: Final = ("TRAMONTANE_", "MISTRAL_")  # the demo doesn't depend on anybody's
_READY: Final = re.compile(r"ready at (http://\S+)")
_START_LIMIT: Final = 60  # seconds
_RUN_LIMIT: Final = 120
_STOP_LIMIT: Final = 30

console = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """The demo didn't go as it should; the message says what went wrong."""


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[str]:
    """Run ``tramontane serve`` on a free port with a database in ``folder``; gives the URL."""
    log = folder / "service.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tramontane", "serve", "--port", "0", "--database", f"sqlite:///{folder / 'demo.db'}"),
            *("--http-denied-cidrs", ""),  # the outside world of this demo is on this machine
            env={name: text for name, text in os.environ.items() if not name.startswith(_SETTINGS)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield await _ready(process, log)
    except BaseException:
        await _stop(process)
        raise
    status = await _stop(process)
    if status != 0:
        raise DemoError(f"The service stopped with status {status}. It said:\n{_read(log)}")


async def _ready(process: asyncio.subprocess.Process, log: Path) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(_START_LIMIT):
        line = (await process.stdout.readline()).decode()
    found = _READY.search(line)
    if found is None:
        raise DemoError(f"The service didn't start. It said:\n{line}{_read(log)}")
    return found.group(1)


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def _stop(process: asyncio.subprocess.Process) -> int:
    """Ask the service to stop, as an operator would; give its exit status."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_LIMIT):
            return await process.wait()
    except TimeoutError:
        process.kill()
        raise DemoError("The service didn't stop when it was asked to.") from None


async def play(client: RestClient, sources: str) -> Any:
    """Upload the workflow, run it, and give its output."""
    console.print(f"Uploading {WORKFLOW.name}: POST /v2/workflows")
    await client.upload("workflows", WORKFLOW.read_text(encoding="utf-8"))
    console.print("Starting the workflow 'restock': POST /v2/executions\n")
    started = await client.post("executions", {"workflow_name": "restock", "input": {"sources": sources}})
    with open_view(console) as view:
        end = await Watch(client, started["id"]).follow(view)
    if end.state != "SUCCESS":
        raise DemoError(f"The workflow ended in {end.state}: {end.info}")
    return json.loads((await client.get(f"executions/{started['id']}"))["output"])


def check(output: Any) -> None:
    """Refuse an output that isn't what the sources lead to."""
    expected = {
        "needed": 65,
        "best_offer": {"supplier": "birch", "product": "umbrella", "price": 6.4},
        "order": {"number": 4712, "reservation": "R-4711", "total": 449.28},
    }
    wrong = [name for name, value in expected.items() if output.get(name) != value]
    if wrong:
        raise DemoError(f"Unexpected {', '.join(wrong)} in the output: {json.dumps(output)}")


async def demo() -> None:
    with tempfile.TemporaryDirectory(prefix="tramontane-demo-") as folder, serve_sources() as sources:
        console.print("Starting: tramontane serve", style="bold")
        async with service(Path(folder)) as url, connect(url) as client:
            console.print(f"The service is ready at {url}.")
            async with asyncio.timeout(_RUN_LIMIT):
                output = await play(client, sources)
            console.print("\nOutput of the workflow:", style="bold")
            console.print(JSON.from_data(output))
            check(output)
    console.print("\nThe service has stopped and its database is deleted. That was the demo.")
    console.print("Next: tramontane run examples/hello.yaml -i who=you, then README.md.")


def main() -> int:
    try:
        asyncio.run(demo())
    except TimeoutError:
        print("The demo failed: it took too long.", file=sys.stderr)
        return 1
    except (DemoError, RestError, OSError, ClientError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
