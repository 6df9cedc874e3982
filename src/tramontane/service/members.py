"""Sharing workflows with other projects (REST endpoints, section 5).

A share is made by the workflow's owner and counts once the other project has accepted it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tramontane.errors import BadRequestError, NotAllowedError, NotFoundError
from tramontane.service.caller import Caller
from tramontane.service.definitions import Surroundings, missing
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import MemberRow, WorkflowRow
from tramontane.store.tenancy import PRIVATE

STATUSES = ("pending", "accepted", "rejected")


class Members:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def shares(self, caller: Caller, workflow_id: str) -> Sequence[MemberRow]:
        """The shares that the caller's project gave, or the one that it got."""
        return await self._around.definitions.members(workflow_id, caller.project_id)

    async def find(self, caller: Caller, workflow_id: str, member_id: str) -> MemberRow:
        """One share, for whoever gave or got it.

        Raises:
            NotFoundError: there is none, or it is none of the caller's business.
        """
        for row in await self.shares(caller, workflow_id):
            if row.member_id == member_id:
                return row
        raise _not_shared(workflow_id, member_id)

    @again_when_busy
    async def share(self, caller: Caller, workflow_id: str, member_id: str) -> MemberRow:
        """Offer a private workflow to another project.

        Raises:
            NotFoundError: no such workflow for this caller.
            BadRequestError: it isn't private.
            NotAllowedError: it was itself shared with the caller.
            ConflictError: it is shared with that project already.
        """
        async with self._around.definitions.change() as change:
            workflow = await change.find_by_id(WorkflowRow, workflow_id, caller)
            if workflow is None:
                raise missing("workflow", workflow_id)
            if workflow.scope != PRIVATE:
                raise BadRequestError(
                    f"Only private workflows can be shared; '{workflow.name}' is {workflow.scope}."
                )
            if workflow.project_id != caller.project_id and not caller.is_admin:
                raise NotAllowedError(
                    f"The workflow '{workflow.name}' belongs to another project; only that one may share it."
                )
            row = MemberRow(
                id=self._around.new_id(),
                resource_id=workflow_id,
                resource_type="workflow",
                project_id=workflow.project_id,
                member_id=member_id,
                status="pending",
                created_at=self._around.now(),
            )
            await change.insert(row)
        return row

    @again_when_busy
    async def answer(self, caller: Caller, workflow_id: str, member_id: str, status: str) -> MemberRow:
        """Accept or reject a share, or leave it open again; only the project that got it may.

        Raises:
            NotFoundError: there is none, or it is another project's to answer.
        """
        async with self._around.definitions.change() as change:
            row = await change.member(workflow_id, member_id)
            if row is None or row.member_id != caller.project_id:
                raise _not_shared(workflow_id, member_id)
            row = replace(row, status=status, updated_at=self._around.now())
            await change.update(row)
        self._around.changed()
        return row

    @again_when_busy
    async def withdraw(self, caller: Caller, workflow_id: str, member_id: str) -> None:
        """Share a workflow no longer; only the project that owns it may.

        Raises:
            NotFoundError: there is no share, or it is another project's.
        """
        async with self._around.definitions.change() as change:
            row = await change.member(workflow_id, member_id)
            if row is None or row.project_id != caller.project_id:
                raise _not_shared(workflow_id, member_id)
            await change.delete(row)
        self._around.changed()


def _not_shared(workflow_id: str, member_id: str) -> NotFoundError:
    return NotFoundError(f"The workflow '{workflow_id}' isn't shared with a project '{member_id}'.")
