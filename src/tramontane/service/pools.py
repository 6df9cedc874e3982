"""How jobs find whoever may run them: the pool that stands in a job's row.

``""`` is for anybody; a task's ``target`` is the pool of that name. Actions that no node has, because
workers bring them, go to pools of their own, so that no executor takes what it couldn't run.
"""

from __future__ import annotations

from typing import Final

WORKERS: Final = "worker:"
"""Begins the names of actions that workers bring, as jobs have them, and those actions' pools."""


def pool_of(action_name: str, target: str | None) -> str:
    """Give the pool of a job: ``action_name`` is the name that executors know the action by."""
    pool = target or ""
    return f"{WORKERS}{pool}" if action_name.startswith(WORKERS) else pool
