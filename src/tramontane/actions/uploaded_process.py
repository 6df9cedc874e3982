"""The process that runs one uploaded action: an order on standard input, its result on standard output.

Whatever the code prints goes to where errors go. Source: :mod:`tramontane.actions.uploaded`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import types
from collections.abc import Mapping
from typing import Any

from tramontane.actions.base import ActionContext
from tramontane.actions.registry import describe
from tramontane.actions.runner import ActionRunner
from tramontane.results import Result
from tramontane.values import decode, encode

if sys.platform != "win32":
    import resource


def main() -> None:
    order = decode(sys.stdin.buffer.read().decode())
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        _limit(*order["limits"])
        result = asyncio.run(_run(order))
        answer.write(encode(None if result is None else _data(result)).encode())
        answer.flush()
    os._exit(0)  # threads that the code left running mustn't keep the process


def _limit(memory: int, file: int, open_files: int) -> None:
    if sys.platform == "win32":
        return
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, highest = resource.getrlimit(what)
        if highest != resource.RLIM_INFINITY:
            limit = min(limit, highest)
        with contextlib.suppress(ValueError, OSError):  # stricter limits stay
            resource.setrlimit(what, (limit, limit))


async def _run(order: Mapping[str, Any]) -> Result | None:
    name = order["class"]
    try:
        action_class = getattr(_module(order["module"], order["code"]), name)
        descriptor = describe(name, action_class)
    except (Exception, SystemExit) as error:
        return Result(error=_unusable(order["module"], name, error))
    context = ActionContext.from_map(order["context"], dry_run=order["dry_run"])
    return await ActionRunner(1).run_action(descriptor, order["input"], context)


def _module(name: str, code: str) -> types.ModuleType:
    module = types.ModuleType(f"uploaded.{name}")
    sys.modules[module.__name__] = module  # dataclasses and the like look it up
    exec(compile(code, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
    return module


def _unusable(source: str, name: str, error: BaseException) -> str:
    if isinstance(error, AttributeError) and getattr(error, "name", None) == name:
        return f"The code source '{source}' has no class '{name}'."
    return f"The code source '{source}' can't be used: {type(error).__name__}: {error}"


def _data(result: Result) -> dict[str, Any]:
    return {"data": result.data, "error": result.error, "cancel": result.cancel}


if __name__ == "__main__":
    main()
