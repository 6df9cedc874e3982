"""The stored form of a definition: the loaded map with what Mistral injects (spec, section 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.lang.graph import RESERVED_TASK
from tramontane.lang.oneline import OneLineError, parse_command
from tramontane.values import FrozenDict, deep_merge, freeze

VERSION = "2.0"


def stored_workflow(name: str, workflow: Mapping[str, Any]) -> FrozenDict:
    """Return what is stored of a checked workflow."""
    kind = workflow.get("type", "direct")
    tasks = {
        task: _stored_task(task, data, kind) if task != RESERVED_TASK else data
        for task, data in workflow["tasks"].items()
    }
    return _frozen({**workflow, "tasks": tasks, "name": name, "version": VERSION})


def _stored_task(name: str, task: Mapping[str, Any], kind: str) -> dict[str, Any]:
    data = {**task, "name": name, "version": VERSION, "type": kind}
    _merge_inline(data, task.get("action") or task.get("workflow"), "input")
    return data


def stored_action(name: str, action: Mapping[str, Any]) -> FrozenDict:
    """Return what is stored of a checked ad-hoc action."""
    data = {**action, "name": name, "version": VERSION}
    _merge_inline(data, action.get("base"), "base-input")
    return _frozen(data)


def stored_workbook(
    workbook: Mapping[str, Any], workflows: Mapping[str, FrozenDict], actions: Mapping[str, FrozenDict]
) -> FrozenDict:
    """Return what is stored of a workbook, its members in their stored form."""
    data = {**workbook, "version": VERSION}
    for section, members in (("workflows", workflows), ("actions", actions)):
        if members:
            data[section] = {**workbook[section], **members}
    return _frozen(data)


def inline_parameters(text: Any) -> dict[str, Any]:
    """Return the parameters of a one-line command; none when it can't be read."""
    if not isinstance(text, str):
        return {}
    try:
        return parse_command(text).parameters
    except OneLineError:
        return {}


def _merge_inline(data: dict[str, Any], text: Any, key: str) -> None:
    """Merge inline parameters over a map under ``key``; beside a text they stay where they are."""
    parameters = inline_parameters(text)
    own = data.get(key)
    if parameters and (own is None or isinstance(own, Mapping)):
        data[key] = deep_merge(own or {}, parameters)


def _frozen(data: Mapping[str, Any]) -> FrozenDict:
    frozen: FrozenDict = freeze(data)
    return frozen
