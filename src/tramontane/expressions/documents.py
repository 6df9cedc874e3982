"""JSON and YAML texts inside expressions, within the evaluation's budget."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tramontane.expressions.limits import Budget, Evaluation
from tramontane.expressions.results import listing
from tramontane.values import freeze


def json_dump(evaluation: Evaluation, data: Any) -> str:
    """Write JSON text, indented by four, keys in order, ASCII only."""
    pieces = []
    for piece in _JSON.iterencode(listing(data, evaluation)):
        evaluation.budget.tick()
        pieces.append(piece)
    return "".join(pieces)


def json_parse(_: Evaluation, text: str) -> Any:
    """Read JSON text."""
    return freeze(json.loads(text))


def yaml_dump(evaluation: Evaluation, data: Any) -> str:
    """Write YAML text in block style: keys sorted, no aliases, ASCII only, ends with a line break."""
    output = _Output(evaluation.budget)

    class Dumper(_Dumper):
        budget = evaluation.budget

    yaml.dump(_plain(listing(data, evaluation)), output, Dumper=Dumper, default_flow_style=False)
    return "".join(output.pieces)


def yaml_parse(evaluation: Evaluation, text: str) -> Any:
    """Read YAML text without anchors and aliases; dates become dates."""

    class Loader(_Loader):
        budget = evaluation.budget

    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the document, which may hold secrets.
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{error.context or 'not a YAML text'}: {error.problem}{place}") from None


def _plain(value: Any) -> Any:
    """Turn frozen containers into those that the YAML writer knows."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, dt.timedelta):
        return freeze(value)
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [_plain(item) for item in value]


class _JsonEncoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, dt.datetime):
            return o.strftime("%Y-%m-%dT%H:%M:%S.%f")
        return freeze(o)


_JSON = _JsonEncoder(indent=4)


class _Output:
    """A stream that counts what is written."""

    def __init__(self, budget: Budget) -> None:
        self.pieces: list[str] = []
        self._budget = budget

    def write(self, piece: str) -> None:
        self._budget.tick()
        self.pieces.append(piece)


class _Dumper(yaml.SafeDumper):
    budget: Budget

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_data(self, data: Any) -> Any:
        self.budget.tick()
        return super().represent_data(data)


class _Loader(yaml.SafeLoader):
    """Reads ``&x`` and ``*x`` as text, so that no document can grow by references."""

    budget: Budget

    def fetch_more_tokens(self) -> Any:
        self.budget.tick()
        return super().fetch_more_tokens()

    def fetch_anchor(self) -> None:
        self.fetch_plain()

    def fetch_alias(self) -> None:
        self.fetch_plain()
