"""What the uploads of workflows, workbooks and actions have in common (REST endpoints, sections 3, 4, 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.faults import problem_data
from tramontane.api.media import read_document
from tramontane.api.request import Request
from tramontane.api.values_in import flag
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError, DefinitionError, Problem
from tramontane.lang import CheckOptions
from tramontane.service.definitions import UploadOptions
from tramontane.service.documents import Kind

PARAMETERS: Final = ("scope", "namespace", "skip_validation", "strict")
_SCOPES: Final = ("private", "public")
_LONGEST_NAMESPACE: Final = 255


def upload_options(api: Api, request: Request, resource: str, *more: str) -> UploadOptions:
    """Read the parameters of an upload; ``resource`` names the policy's rule for public definitions.

    Raises:
        BadRequestError: for a scope or parameter that doesn't exist.
        NotAllowedError: when the caller may not publish.
    """
    given = request.allow_parameters(*PARAMETERS, *more)
    scope = given.get("scope", "private")
    if scope not in _SCOPES:
        raise BadRequestError(f"Scope must be one of the following: {', '.join(_SCOPES)}; actual: {scope}.")
    if scope == "public":
        enforce(api.rules, f"{resource}:publicize", request.caller)
    namespace = given.get("namespace", "")
    if len(namespace) > _LONGEST_NAMESPACE:
        raise BadRequestError(
            f"The namespace has {len(namespace)} characters; at most {_LONGEST_NAMESPACE} are allowed."
        )
    return UploadOptions(scope, namespace, check_options(api, given, _is_checked(api, given)))


def _is_checked(api: Api, given: Mapping[str, str]) -> bool:
    match api.settings.validation_mode:
        case "mandatory":
            return True
        case "disabled":
            return False
        case _:
            return "skip_validation" not in given


def check_options(api: Api, given: Mapping[str, str], validate: bool = True) -> CheckOptions:
    strict = flag("strict", given["strict"]) if "strict" in given else api.settings.strict_definitions
    return CheckOptions(validate=validate, strict=strict, max_bytes=api.settings.max_body_bytes)


async def document(request: Request) -> str:
    return read_document(await request.body())


def warned(data: dict[str, Any], warnings: Sequence[Problem]) -> dict[str, Any]:
    """Add the warnings about a document to an answer, if there are any."""
    if warnings:
        data["warnings"] = [problem_data(problem) for problem in warnings]
    return data


async def validate(api: Api, request: Request, kind: Kind) -> Response:
    """Say whether a document would be taken; nothing is stored, and the answer is always a 200."""
    given = request.allow_parameters(*PARAMETERS)
    options = check_options(api, given)
    try:
        checked = await api.services.checker.check(kind, await document(request), options)
    except BadRequestError as error:
        problems = error.problems if isinstance(error, DefinitionError) else ()
        refused: dict[str, Any] = {"valid": False, "error": error.message}
        if problems:
            refused["problems"] = [problem_data(problem) for problem in problems]
        return answer(warned(refused, [item for item in problems if item.severity == "warning"]))
    return answer(warned({"valid": True}, checked.warnings))
