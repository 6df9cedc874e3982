"""The workflow language: YAML text → checked documents to store → typed specs to run.

An upload goes through :func:`parse_workflows`, :func:`parse_workbook` or :func:`parse_actions`, which
report every problem with its place. What they return is stored as plain data; :func:`load_workflow` and
:func:`load_action` make typed specs of that again, without YAML and without checking.
"""

from tramontane.lang.document import (
    ActionDocument,
    CheckOptions,
    Upload,
    WorkbookDocument,
    WorkflowDocument,
)
from tramontane.lang.load import load_action, load_workflow
from tramontane.lang.spec import AdhocActionSpec, InputParameter, TaskSpec, WorkflowSpec
from tramontane.lang.texts import action_input_text, input_text, interface
from tramontane.lang.upload import parse_actions, parse_workbook, parse_workflows

__all__ = [
    "ActionDocument",
    "AdhocActionSpec",
    "CheckOptions",
    "InputParameter",
    "TaskSpec",
    "Upload",
    "WorkbookDocument",
    "WorkflowDocument",
    "WorkflowSpec",
    "action_input_text",
    "input_text",
    "interface",
    "load_action",
    "load_workflow",
    "parse_actions",
    "parse_workbook",
    "parse_workflows",
]
