"""Entry points: one text in, everything that is stored of it out, or all that is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tramontane.errors import DefinitionError, Problem
from tramontane.lang.action_check import check_action, check_base_cycles
from tramontane.lang.cut import cut_member, cut_workflow
from tramontane.lang.document import (
    ActionDocument,
    CheckOptions,
    Upload,
    WorkbookDocument,
    WorkflowDocument,
)
from tramontane.lang.expression_check import ExpressionCheck
from tramontane.lang.findings import UNPARSABLE, Findings, describe, refusal
from tramontane.lang.names import check_member_name, check_member_version, check_name, check_version
from tramontane.lang.policy_check import Checks
from tramontane.lang.shapes import MAP, TEXT, check_keys, check_texts, refuse_unknown
from tramontane.lang.stored import stored_action, stored_workbook, stored_workflow
from tramontane.lang.tasks import text_tuple
from tramontane.lang.workflow_check import check_workflow
from tramontane.lang.yaml_loader import Document, Map, YamlError, load
from tramontane.values import FrozenDict

_DEFAULTS = CheckOptions()
WORKBOOK_ATTRIBUTES = ("version", "name", "description", "tags", "actions", "workflows")


def parse_workflows(text: str | bytes, options: CheckOptions = _DEFAULTS) -> Upload:
    """Check a list of workflows.

    Raises:
        DefinitionError: with everything that is wrong with it.
    """
    opened = _open(text, options)
    names = _items(opened, "workflow")
    for name in names:
        check_name(opened.findings, name, (name,))
        check_workflow(opened.checks, name, opened.root[name], (name,))
    opened.findings.refuse_errors()
    documents = tuple(_workflow(opened, name, single=len(names) == 1) for name in names)
    return Upload(workflows=documents, warnings=opened.findings.problems())


def parse_actions(text: str | bytes, options: CheckOptions = _DEFAULTS) -> Upload:
    """Check a list of ad-hoc actions.

    Raises:
        DefinitionError: with everything that is wrong with it.
    """
    opened = _open(text, options)
    names = _items(opened, "action")
    for name in names:
        check_name(opened.findings, name, (name,))
        check_action(opened.checks, opened.root[name], (name,))
    check_base_cycles(opened.findings, {name: opened.root[name] for name in names}, ())
    opened.findings.refuse_errors()
    documents = tuple(_action(name, opened.text, stored_action(name, opened.root[name])) for name in names)
    return Upload(actions=documents, warnings=opened.findings.problems())


def parse_workbook(text: str | bytes, options: CheckOptions = _DEFAULTS) -> Upload:
    """Check a workbook.

    Raises:
        DefinitionError: with everything that is wrong with it or its members.
    """
    opened = _open(text, options)
    findings, root = opened.findings, opened.root
    check_version(findings, root, strictly=True)
    refuse_unknown(findings, root, (), WORKBOOK_ATTRIBUTES, "attribute of a workbook")
    if "description" in root:
        TEXT.check(findings, root["description"], ("description",))
    if "tags" in root:
        check_texts(findings, root["tags"], ("tags",))
    workbook = _workbook_name(opened)
    workflows, actions = (_members(opened, section, workbook) for section in ("workflows", "actions"))
    for name in workflows:
        check_workflow(opened.checks, name, root["workflows"][name], ("workflows", name))
    for name in actions:
        check_action(opened.checks, root["actions"][name], ("actions", name))
    full = {f"{workbook}.{name}": root["actions"][name] for name in actions}
    check_base_cycles(findings, full, ("actions",), prefix=f"{workbook}.")
    findings.refuse_errors()
    document = _workbook(opened, workbook, workflows, actions)
    return Upload(workbook=document, warnings=findings.problems())


@dataclass(frozen=True, slots=True)
class _Opened:
    """A document that is a map, and what its checks need."""

    text: str
    document: Document
    root: Map
    findings: Findings
    checks: Checks


def _open(data: str | bytes, options: CheckOptions) -> _Opened:
    text = _decoded(data, options.max_bytes)
    try:
        document = load(text)
    except YamlError as error:
        raise _unparsable(error.message, text, error.index) from None
    findings = Findings(document, options)
    root = document.root
    if not root:
        root = Map(0, False)  # an empty text, null, 0 or [] count as an empty map
    elif not isinstance(root, Map):
        findings.error((), f"{describe(root)} is not of type 'object', expected a map", always=True)
        findings.refuse_errors()
    for duplicate in document.duplicates:
        findings.warning_at(
            duplicate.index, duplicate.path, f"the key '{duplicate.path[-1]}' stands twice, the last one wins"
        )
    check_keys(findings, root, ())
    checks = Checks(findings, ExpressionCheck(findings, options.allowed_languages))
    return _Opened(text, document, root, findings, checks)


def _decoded(data: str | bytes, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    if isinstance(data, str):
        if not data.isascii() and len(data.encode("utf-8", "surrogatepass")) > max_bytes:
            raise _too_large(max_bytes)
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        place = f"byte 0x{data[error.start]:02x} at offset {error.start}"
        raise _unparsable(f"the text isn't UTF-8: {place}", "", -1) from None


def _too_large(max_bytes: int) -> DefinitionError:
    return _unparsable(f"the text is larger than {max_bytes} bytes", "", -1)


def _unparsable(message: str, text: str, index: int) -> DefinitionError:
    body = text[1:] if text.startswith("\ufeff") else text
    line = body.count("\n", 0, index) + 1 if index >= 0 else 0
    column = index - body.rfind("\n", 0, index) if index >= 0 else 0
    return refusal(UNPARSABLE, (Problem(message, "", line, column),))


def _items(opened: _Opened, kind: str) -> list[str]:
    """Return the names in a list document; everything but the version is one."""
    check_version(opened.findings, opened.root, strictly=False)
    names = [name for name in opened.root if name != "version"]
    if not names:
        opened.findings.error((), f"At least one {kind} must be in the list", always=True)
        opened.findings.refuse_errors()
    return names


def _workbook_name(opened: _Opened) -> str:
    findings, name = opened.findings, opened.root.get("name")
    if not isinstance(name, str) or not name:
        found = f"found {describe(name)}" if "name" in opened.root else "'name' is missing"
        findings.error(("name",), f"{found}, expected the workbook's name", always=True)
        return ""
    check_name(findings, name, ("name",), of_key=False)
    return name


def _members(opened: _Opened, section: str, workbook: str) -> list[str]:
    if section not in opened.root:
        return []
    findings, members = opened.findings, opened.root[section]
    if not MAP.check(findings, members, (section,)):
        return []
    check_keys(findings, members, (section,))
    check_member_version(findings, members, (section,))
    names = [name for name in members if name != "version"]
    for name in names:
        check_member_name(findings, name, (section, name), workbook)
    return names


def _workflow(opened: _Opened, name: str, *, single: bool) -> WorkflowDocument:
    definition = opened.text if single else cut_workflow(opened.document, name)
    data = stored_workflow(name, opened.root[name])
    checksum = hashlib.md5(definition.encode(), usedforsecurity=False).hexdigest()
    return WorkflowDocument(name, definition, data, text_tuple(data.get("tags")), checksum)


def _action(name: str, definition: str, data: FrozenDict) -> ActionDocument:
    description = data.get("description")
    return ActionDocument(
        name,
        definition,
        data,
        text_tuple(data.get("tags")),
        description if isinstance(description, str) else None,
    )


def _workbook(opened: _Opened, workbook: str, workflows: list[str], actions: list[str]) -> WorkbookDocument:
    root, document = opened.root, opened.document
    workflow_data = {name: stored_workflow(name, root["workflows"][name]) for name in workflows}
    action_data = {name: stored_action(name, root["actions"][name]) for name in actions}
    return WorkbookDocument(
        name=workbook,
        definition=opened.text,
        data=stored_workbook(root, workflow_data, action_data),
        tags=text_tuple(root.get("tags")),
        workflows=tuple(
            WorkflowDocument(
                f"{workbook}.{name}",
                cut_member(document, "workflows", name),
                data,
                text_tuple(data.get("tags")),
                None,
            )
            for name, data in workflow_data.items()
        ),
        actions=tuple(
            _action(f"{workbook}.{name}", cut_member(document, "actions", name), data)
            for name, data in action_data.items()
        ),
    )
