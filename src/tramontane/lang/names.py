"""Rules for the names of what is stored (language spec, section 2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tramontane.lang.findings import Findings, quoted
from tramontane.lang.yaml_loader import Path

MAX_LENGTH = 255
_MEMBER = re.compile(r"[\w-]+")
_HEX = re.compile(r"[0-9a-f]{32}")


def is_uuid_like(name: str) -> bool:
    """True for a UUID in any of its spellings: with or without dashes, braces or ``urn:uuid:``."""
    plain = name.lower().replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    return _HEX.fullmatch(plain) is not None


def check_name(findings: Findings, name: str, path: Path, *, prefix: str = "", of_key: bool = True) -> None:
    """Check the name of a stored object; ``prefix`` goes before it in the store."""
    if not name:
        findings.error(path, "the name is empty, expected 1 to 255 characters", of_key=of_key, always=True)
    if " " in name:
        findings.error(path, f"Name {quoted(name)} must not contain spaces", of_key=of_key, always=True)
    if len(prefix) + len(name) > MAX_LENGTH:
        whole = f"'{prefix}<name>' " if prefix else ""
        findings.error(
            path,
            f"the name {whole}has {len(prefix) + len(name)} characters, expected at most {MAX_LENGTH}",
            of_key=of_key,
            always=True,
        )


def check_workflow_name(findings: Findings, name: str, path: Path) -> None:
    """Refuse names that could be taken for the id of a workflow."""
    if is_uuid_like(name):
        findings.error(path, "Workflow name cannot be in the format of UUID.", of_key=True, always=True)


def check_member_name(findings: Findings, name: str, path: Path, workbook: str) -> None:
    """Check the name of a workbook's member."""
    if not _MEMBER.fullmatch(name):
        findings.error(
            path,
            f"the name {quoted(name)} can't be used in a workbook, expected letters, digits, '_' and '-'",
            of_key=True,
        )
    check_name(findings, name, path, prefix=f"{workbook}.")


_LIST_VERSIONS = ("2.0", "2", "v2.0")


def check_version(findings: Findings, document: Mapping[str, Any], *, strictly: bool) -> None:
    """Check the version of a document; ``strictly``: a workbook's, whose version Mistral compares."""
    if "version" not in document:
        findings.error((), "'version' is missing, expected version: '2.0'")
        return
    version, path = document["version"], ("version",)
    if _is_supported(version):
        return
    plausible = (type(version) is str and version != "") or (
        isinstance(version, (int, float)) and not isinstance(version, bool) and version >= 0
    )
    message = f"Unsupported DSL version: {version!s:.60}"
    if plausible and not strictly:
        findings.warning(path, f"{message}, expected '2.0'")
    else:
        findings.error(path, f"{message if plausible else _not_a_version(version)}, expected '2.0'")


def check_member_version(findings: Findings, members: Mapping[str, Any], path: Path) -> None:
    """Check the optional version inside ``workflows`` or ``actions`` of a workbook."""
    version = members.get("version")
    if "version" in members and not (version == "2.0" or (not isinstance(version, bool) and version == 2)):
        findings.error((*path, "version"), f"Unsupported DSL version: {version!s:.60}, expected '2.0'")


def _is_supported(version: Any) -> bool:
    if isinstance(version, str):
        return version in _LIST_VERSIONS
    return not isinstance(version, bool) and version in (2, 2.0)


def _not_a_version(version: Any) -> str:
    shown = "null" if version is None else str(version).lower() if isinstance(version, bool) else version
    return f"Unsupported DSL version: {shown!s:.60}"
