"""The text that belongs to one item of a document (language spec, sections 9.1 and 9.3).

The item's own lines are cut out with their comments, and read again to be sure that they mean the
same; where that fails (flow style, explicit keys, merged maps) the item is written anew.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tramontane.lang.yaml_loader import Document, Map, YamlError, load

_INDENT = re.compile(r"[ ]*")


def cut_workflow(document: Document, name: str) -> str:
    """Return a text with the document's version and one of its workflows only."""
    root = document.root
    version, item = _block(document, root, "version"), _block(document, root, name)
    wanted = {"version": root["version"], name: root[name]} if "version" in root else {name: root[name]}
    if item is not None and ("version" not in root or version is not None):
        text = f"{version}\n{item}" if version is not None else item
        if _means(text, wanted):
            return text
    return _written(wanted)


def cut_member(document: Document, section: str, name: str) -> str:
    """Return the dedented text of a workbook's member, from its name on."""
    members = document.root[section]
    item = _block(document, members, name)
    wanted = {name: members[name]}
    if item is not None and _means(item, wanted):
        return item
    return _written(wanted)


def _block(document: Document, parent: Map, name: str) -> str | None:
    """Return the dedented lines of an entry in a block style map, or None when there are none."""
    span = parent.spans.get(name)
    if span is None or parent.flow:
        return None
    text = document.source.text
    start = text.rfind("\n", 0, span.key) + 1
    indent = text[start : span.key]
    if indent.strip(" "):
        return None
    end = _end_of_line(text, span.end)
    end = _with_comments(text, end, len(indent))
    lines = text[start:end].splitlines(keepends=True)
    block = "".join(_dedented(line, len(indent)) for line in lines)
    return block if block.endswith("\n") else block + "\n"


def _end_of_line(text: str, index: int) -> int:
    if text[index - 1 : index] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _with_comments(text: str, end: int, indent: int) -> int:
    """Go on over blank lines to the last comment line that is indented deeper than the entry."""
    position = end
    while position < len(text):
        following = _end_of_line(text, position + 1)
        line = text[position:following]
        stripped = line.strip()
        if stripped and not (stripped.startswith("#") and _width(line) > indent):
            break
        position = following
        if stripped:
            end = position
    return end


def _width(line: str) -> int:
    match = _INDENT.match(line)
    return match.end() if match else 0


def _dedented(line: str, width: int) -> str:
    return line[min(width, _width(line)) :]


def _means(text: str, wanted: dict[str, Any]) -> bool:
    try:
        found = load(text).root
    except YamlError:
        return False
    return _canonical(found) == _canonical(wanted)


def _canonical(value: Any) -> str:
    return json.dumps(value)


class _Dumper(yaml.SafeDumper):
    """Writes block style, without anchors (this language has none)."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_multi_representer(dict, lambda dumper, data: dumper.represent_dict(data.items()))
_Dumper.add_multi_representer(list, lambda dumper, data: dumper.represent_list(data))
_Dumper.add_multi_representer(str, lambda dumper, data: dumper.represent_str(str(data)))


def _written(data: dict[str, Any]) -> str:
    return yaml.dump(
        data,
        Dumper=_Dumper,
        default_flow_style=False,
        sort_keys=False,
        allow_unicode=True,
        width=2**31,
    )
