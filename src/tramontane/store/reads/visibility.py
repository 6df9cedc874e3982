"""Which rows a caller may see, as SQL conditions (REST specification, section 7)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, and_, bindparam, case, or_, select

from tramontane.store.reads.fields import Resource
from tramontane.store.schema import members, workflow_definitions

PUBLIC: Final = "public"
PROJECT_PARAMETER: Final = "visible_to"


class Viewer(Protocol):
    """On whose behalf something is read; an administrator sees the objects of all projects."""

    @property
    def project_id(self) -> str: ...
    @property
    def is_admin(self) -> bool: ...


def visible(resource: Resource, viewer: Viewer) -> list[ColumnElement[bool]]:
    """Write the conditions that a row must meet to be seen; none for an administrator."""
    return [] if viewer.is_admin else [visible_to_project(resource)]


def visible_to_project(resource: Resource) -> ColumnElement[bool]:
    """Own rows, public ones, and workflows that are shared and accepted; the project is a parameter."""
    project: ColumnElement[Any] = bindparam(PROJECT_PARAMETER, required=True)
    choices = [resource.project == project]
    if resource.scope is not None:
        choices.append(resource.scope == PUBLIC)
    if resource.source is workflow_definitions:
        shared = select(members.c.resource_id).where(
            members.c.resource_type == "workflow",
            members.c.member_id == project,
            members.c.status == "accepted",
        )
        choices.append(workflow_definitions.c.id.in_(shared))
    return or_(*choices) if len(choices) > 1 else and_(*choices)


def own_first(resource: Resource) -> tuple[ColumnElement[Any], ...]:
    """Order rows of one name: the caller's own, then public ones, then the oldest."""
    project: ColumnElement[Any] = bindparam(PROJECT_PARAMETER, required=True)
    created = resource.by_name["created_at"].column
    if resource.scope is None:
        return case((resource.project == project, 0), else_=1), created
    return case((resource.project == project, 0), (resource.scope == PUBLIC, 1), else_=2), created
