"""Headers by which what a request runs works on another cloud (REST specification, section 6.4).

They are no means of authentication: the caller's own token says whose request it is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from tramontane.auth import Caller
from tramontane.errors import BadRequestError
from tramontane.values import FrozenDict, freeze

_PREFIX: Final = "x-target-"
_NAMES: Final = {
    "project_id": "project-id",
    "user_id": "user-id",
    "user_name": "user-name",
    "region_name": "region-name",
}
_BOOLEANS: Final = {"True": True, "False": False}


def with_target(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Give the caller with the cloud that the headers name, if they name one.

    Raises:
        BadRequestError: they can't be used.
    """
    auth_uri = headers.get(f"{_PREFIX}auth-uri")
    if not auth_uri:
        return caller
    token = headers.get(f"{_PREFIX}auth-token")
    if not token:
        raise BadRequestError("X-Target-Auth-Uri needs X-Target-Auth-Token beside it.")
    insecure = headers.get(f"{_PREFIX}insecure", "False")
    if insecure not in _BOOLEANS:
        raise BadRequestError(f"X-Target-Insecure must be True or False, not '{insecure}'.")
    target: dict[str, Any] = {
        "is_target": True,
        "auth_uri": auth_uri,
        "auth_token": token,
        "auth_cacert": None,
        "insecure": _BOOLEANS[insecure],
        "service_catalog": _catalog(headers.get(f"{_PREFIX}service-catalog")),
        **{name: headers.get(f"{_PREFIX}{header}") for name, header in _NAMES.items()},
    }
    return replace(caller, security=FrozenDict(target))


def _catalog(given: str | None) -> Any:
    if not given:
        return None
    try:
        return freeze(orjson.loads(base64.b64decode(given, validate=True)))
    except ValueError:
        raise BadRequestError("X-Target-Service-Catalog must be JSON in base64.") from None
