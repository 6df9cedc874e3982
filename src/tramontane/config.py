"""Settings of a node: one frozen value, put together from four places.

Strongest first: arguments, environment variables (``TRAMONTANE_<NAME>``), a file, the defaults. The file
is TOML with the names below as keys, or an INI file with the sections and names of an existing
``mistral.conf``, of which only what is known here is read. Everything that is wrong is reported at once.
"""

from __future__ import annotations

import configparser
import difflib
import ipaddress
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from tramontane.actions.egress import DEFAULT_DENIED_CIDRS
from tramontane.actions.http_client import DEFAULT_SENSITIVE_HEADERS
from tramontane.errors import TramontaneError

PREFIX: Final = "TRAMONTANE_"
FILE_VARIABLES: Final = (PREFIX + "CONFIG_FILE", "MISTRAL_CONFIG_FILE")

_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


class SettingsError(TramontaneError):
    """Settings can't be used; the message names each one, where it was given, and what would do."""

    code = "settings"


Converter = Callable[[Any], Any]
"""From what was given (text, or a TOML value) to the value; raises ValueError saying what it must be."""


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("must be a text")
    return given


def _flag(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    word = str(given).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("must be true or false")


def _integer(low: int, high: int | None = None) -> Converter:
    def convert(given: Any) -> int:
        words = f"must be a whole number from {low} on" if high is None else f"must be from {low} to {high}"
        if isinstance(given, bool):
            raise ValueError(words)
        try:
            number = int(str(given).strip())
        except ValueError:
            raise ValueError(words) from None
        if number < low or (high is not None and number > high):
            raise ValueError(words)
        return number

    return convert


def _seconds(low: float = 0.0) -> Converter:
    def convert(given: Any) -> float:
        words = f"must be a number of seconds from {low:g} on"
        if isinstance(given, bool):
            raise ValueError(words)
        try:
            number = float(given)
        except (TypeError, ValueError):
            raise ValueError(words) from None
        if not low <= number < float("inf"):
            raise ValueError(words)
        return number

    return convert


def _choice(*allowed: str) -> Converter:
    def convert(given: Any) -> str:
        if given not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(given)

    return convert


def _list(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        return tuple(item.strip() for item in given.split(",") if item.strip())
    if isinstance(given, (list, tuple)) and all(isinstance(item, str) for item in given):
        return tuple(given)
    raise ValueError("must be a list of texts, separated by commas")


def _networks(given: Any) -> tuple[str, ...]:
    networks = _list(given)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"holds '{network}', which is no network like 10.0.0.0/8") from None
    return networks


def _url(given: Any) -> str:
    text = _text(given).strip()
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


def _value_store(given: Any) -> str:
    text = _text(given).strip()
    if text != "database" and not text.startswith(("file:///", "s3://")):
        raise ValueError("must be database, file:///directory or s3://bucket/prefix")
    return text


def _path(given: Any) -> Path | None:
    return Path(_text(given)) if given else None


_SHORTEST_KEY: Final = 32


def _keys(given: Any) -> tuple[str, ...]:
    keys = _list(given)
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise ValueError(f"must be texts of at least {_SHORTEST_KEY} characters that nobody can guess")
    return keys


def _read(convert: Converter, ini: str | None = None, *, secret: bool = False) -> Mapping[str, Any]:
    """Say how a setting is read; ``ini`` is ``section.name`` in a ``mistral.conf``.

    ``secret``: no message may show its value.
    """
    return {"convert": convert, "ini": ini, "secret": secret}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may choose. Sizes and times carry their unit in the name."""

    # -- where
    database: str = field(
        default="sqlite:///tramontane.sqlite",
        repr=False,
        metadata=_read(_text, "database.connection", secret=True),
    )
    database_hints: bool = field(default=True, metadata=_read(_flag))
    big_values: str = field(default="database", metadata=_read(_value_store))
    host: str = field(default="127.0.0.1", metadata=_read(_text, "api.host"))
    port: int = field(default=8989, metadata=_read(_integer(0, 65535), "api.port"))
    workers: int = field(default=1, metadata=_read(_integer(1, 256)))

    # -- the API
    max_limit: int = field(default=1000, metadata=_read(_integer(1), "api.max_limit"))
    max_body_bytes: int = field(default=32 * 2**20, metadata=_read(_integer(1024)))
    max_wait_seconds: float = field(default=60.0, metadata=_read(_seconds()))
    validation_mode: Literal["enabled", "mandatory", "disabled"] = field(
        default="mandatory",
        metadata=_read(_choice("enabled", "mandatory", "disabled"), "api.validation_mode"),
    )
    strict_definitions: bool = field(default=False, metadata=_read(_flag))
    allow_action_execution_deletion: bool = field(
        default=False, metadata=_read(_flag, "api.allow_action_execution_deletion")
    )
    info_file: Path | None = field(default=None, metadata=_read(_path))
    healthcheck: bool = field(default=False, metadata=_read(_flag, "healthcheck.enabled"))
    trust_proxy_headers: bool = field(
        default=False, metadata=_read(_flag, "oslo_middleware.enable_proxy_headers_parsing")
    )
    cors_origins: tuple[str, ...] = field(default=(), metadata=_read(_list, "cors.allowed_origin"))

    # -- who may call
    auth: Literal["none", "token", "keystone", "oidc", "keycloak"] = field(
        default="none", metadata=_read(_choice("none", "token", "keystone", "oidc", "keycloak"))
    )
    policy_file: Path | None = field(default=None, metadata=_read(_path, "oslo_policy.policy_file"))
    identity_ca_file: Path | None = field(default=None, metadata=_read(_path))
    identity_cert_file: Path | None = field(default=None, metadata=_read(_path))
    identity_key_file: Path | None = field(default=None, metadata=_read(_path))
    identity_insecure: bool = field(default=False, metadata=_read(_flag))
    keystone_url: str = field(default="", metadata=_read(_url, "keystone_authtoken.auth_url"))
    keystone_username: str = field(default="", metadata=_read(_text, "keystone_authtoken.username"))
    keystone_password: str = field(
        default="", repr=False, metadata=_read(_text, "keystone_authtoken.password", secret=True)
    )
    keystone_project: str = field(default="service", metadata=_read(_text, "keystone_authtoken.project_name"))
    keystone_user_domain: str = field(
        default="Default", metadata=_read(_text, "keystone_authtoken.user_domain_name")
    )
    keystone_user_domain_id: str = field(
        default="", metadata=_read(_text, "keystone_authtoken.user_domain_id")
    )
    keystone_project_domain: str = field(
        default="Default", metadata=_read(_text, "keystone_authtoken.project_domain_name")
    )
    keystone_project_domain_id: str = field(
        default="", metadata=_read(_text, "keystone_authtoken.project_domain_id")
    )
    keystone_service_roles: tuple[str, ...] = field(
        default=("service",), metadata=_read(_list, "keystone_authtoken.service_token_roles")
    )
    keystone_cache_seconds: float = field(
        default=60.0, metadata=_read(_seconds(), "keystone_authtoken.token_cache_time")
    )
    oidc_issuer: str = field(default="", metadata=_read(_url))
    oidc_audience: tuple[str, ...] = field(default=(), metadata=_read(_list))
    oidc_project_claim: str = field(default="project_id", metadata=_read(_text))
    oidc_roles_claim: str = field(default="roles", metadata=_read(_text))
    oidc_user_claim: str = field(default="sub", metadata=_read(_text))
    keycloak_url: str = field(default="", metadata=_read(_url, "keycloak_oidc.auth_url"))
    keycloak_certs_path: str = field(
        default="/realms/%s/protocol/openid-connect/certs",
        metadata=_read(_text, "keycloak_oidc.public_cert_url"),
    )
    keycloak_user_info_url: str = field(
        default="", metadata=_read(_text, "keycloak_oidc.user_info_endpoint_url")
    )
    keycloak_issuer: str = field(default="", metadata=_read(_text, "keycloak_oidc.keycloak_iss"))
    secret_keys: tuple[str, ...] = field(default=(), repr=False, metadata=_read(_keys, secret=True))

    # -- the engine
    field_size_limit_kb: int = field(
        default=10240, metadata=_read(_integer(-1), "engine.execution_field_size_limit_kb")
    )
    merge_strategy: Literal["replace", "merge"] = field(
        default="replace", metadata=_read(_choice("replace", "merge"), "engine.merge_strategy")
    )
    context_versioning: bool = field(default=True, metadata=_read(_flag, "context_versioning.enabled"))
    max_waiting_requests: int = field(default=10_000, metadata=_read(_integer(1)))
    cached_executions: int = field(default=5_000, metadata=_read(_integer(1)))

    # -- actions
    executor_slots: int = field(default=256, metadata=_read(_integer(0)))
    executor_threads: int = field(
        default=64, metadata=_read(_integer(1), "DEFAULT.executor_thread_pool_size")
    )
    executor_name: str = field(default="", metadata=_read(_text))
    ignore_unknown_targets: bool = field(default=False, metadata=_read(_flag))
    caller_seconds: float = field(default=60.0, metadata=_read(_seconds(0.1), "DEFAULT.rpc_response_timeout"))
    load_action_plugins: bool = field(
        default=True, metadata=_read(_flag, "legacy_action_provider.load_action_plugins")
    )
    action_allowlist: tuple[str, ...] = field(
        default=(), metadata=_read(_list, "legacy_action_provider.allowlist")
    )
    action_denylist: tuple[str, ...] = field(
        default=(), metadata=_read(_list, "legacy_action_provider.denylist")
    )
    http_timeout_seconds: float = field(
        default=60.0, metadata=_read(_seconds(), "action_std_http.default_timeout")
    )
    http_max_response_bytes: int = field(
        default=5 * 2**20, metadata=_read(_integer(0), "action_std_http.max_response_size_bytes")
    )
    http_allowed_hosts: tuple[str, ...] = field(
        default=(), metadata=_read(_list, "action_std_http.allowed_hosts")
    )
    http_denied_cidrs: tuple[str, ...] = field(
        default=DEFAULT_DENIED_CIDRS, metadata=_read(_networks, "action_std_http.denied_cidrs")
    )
    log_request_bodies: bool = field(default=False, metadata=_read(_flag))
    log_response_bodies: bool = field(default=False, metadata=_read(_flag))
    sensitive_headers: tuple[str, ...] = field(
        default=DEFAULT_SENSITIVE_HEADERS, metadata=_read(_list, "action_logging.sensitive_headers")
    )

    # -- life and death
    heartbeat_seconds: float = field(default=0.5, metadata=_read(_seconds(0.05)))
    lease_seconds: float = field(default=15.0, metadata=_read(_seconds(0.2)))
    shutdown_grace_seconds: float = field(
        default=60.0, metadata=_read(_seconds(), "DEFAULT.graceful_shutdown_timeout")
    )

    def __post_init__(self) -> None:
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise SettingsError(
                f"lease_seconds ({self.lease_seconds:g}) must be at least three times "
                f"heartbeat_seconds ({self.heartbeat_seconds:g}), or living nodes are taken for dead."
            )
        if self.workers > 1 and self.database.startswith("sqlite"):
            raise SettingsError(
                f"workers ({self.workers}) must be 1 on SQLite, whose file belongs to one process; several "
                "need a database server: postgresql://… or mariadb://…"
            )
        lacking = [name for name in _NEEDED.get(self.auth, ()) if not getattr(self, name)]
        if lacking:
            raise SettingsError(f"auth = {self.auth} needs {' and '.join(lacking)}.")


_NEEDED: Final = {
    "keystone": ("keystone_url",),
    "oidc": ("oidc_issuer", "oidc_audience"),
    "keycloak": ("keycloak_url",),
}
"""Way of authenticating -> settings that it can't do without."""

_FIELDS: Final = {each.name: each for each in fields(Settings)}


def load_settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None, **given: Any
) -> Settings:
    """Put settings together; an argument that is None counts as not given.

    ``file`` None: the one that ``TRAMONTANE_CONFIG_FILE`` or ``MISTRAL_CONFIG_FILE`` names, if any.

    Raises:
        SettingsError: with everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    if file is None:
        named = next((environ[name] for name in FILE_VARIABLES if environ.get(name)), None)
        file = None if named is None else Path(named)
    problems: list[str] = []
    values: dict[str, Any] = {}
    if file is not None:
        _take(values, _from_file(file, problems), problems)
    _take(values, _from_environment(environ), problems)
    _take(values, _from_arguments(given, problems), problems)
    if problems:
        raise SettingsError("The settings can't be used:\n" + "\n".join(f"  {each}" for each in problems))
    return Settings(**values)


Given = dict[str, tuple[str, Any]]
"""Setting -> where it was given, and what."""


def _take(values: dict[str, Any], given: Given, problems: list[str]) -> None:
    for name, (place, raw) in given.items():
        try:
            values[name] = _FIELDS[name].metadata["convert"](raw)
        except ValueError as error:
            shown = "" if _FIELDS[name].metadata["secret"] else f", not {raw!r}"
            problems.append(f"{place} {error}{shown}.")


def _from_environment(environ: Mapping[str, str]) -> Given:
    found: Given = {}
    for name in _FIELDS:
        variable = PREFIX + name.upper()
        if variable in environ:
            found[name] = (f"the environment variable {variable}", environ[variable])
    return found


def _from_arguments(given: Mapping[str, Any], problems: list[str]) -> Given:
    found: Given = {}
    for name, value in given.items():
        if name not in _FIELDS:
            problems.append(f"there is no setting '{name}'{_hint(name)}.")
        elif value is not None:
            found[name] = (f"'{name}'", value)
    return found


def _from_file(file: Path, problems: list[str]) -> Given:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"the file '{file}' can't be read: {error}.")
        return {}
    return _from_toml(file, text, problems) if file.suffix == ".toml" else _from_ini(file, text, problems)


def _from_toml(file: Path, text: str, problems: list[str]) -> Given:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"the file '{file}' is no TOML: {error}.")
        return {}
    found: Given = {}
    for name, value in content.items():
        if name in _FIELDS:
            found[name] = (f"'{name}' in '{file}'", value)
        else:
            problems.append(f"'{file}' holds '{name}', which is no setting{_hint(name)}.")
    return found


def _from_ini(file: Path, text: str, problems: list[str]) -> Given:
    parser = configparser.RawConfigParser(strict=False, default_section="", inline_comment_prefixes=None)
    try:
        parser.read_string(text, str(file))
    except configparser.Error as error:
        problems.append(f"the file '{file}' can't be read: {error.message}.")
        return {}
    found: Given = {}
    for name, setting in _FIELDS.items():
        ini = setting.metadata["ini"]
        if ini is not None:
            section, _, option = ini.partition(".")
            if parser.has_option(section, option):
                found[name] = (f"[{section}] {option} in '{file}'", parser.get(section, option))
    found.update(_switches(parser, file, problems))
    return found


def _switches(parser: configparser.RawConfigParser, file: Path, problems: list[str]) -> Given:
    """Options of ``mistral.conf`` that say the opposite, or take two to say one thing."""
    found: Given = {}
    opposites = {"hide_request_body": "log_request_bodies", "hide_response_body": "log_response_bodies"}
    for option, name in opposites.items():
        if parser.has_option("action_logging", option):
            try:
                hidden = _flag(parser.get("action_logging", option))
            except ValueError as error:
                problems.append(f"[action_logging] {option} in '{file}' {error}.")
            else:
                found[name] = (f"[action_logging] {option} in '{file}'", not hidden)
    if parser.has_option("api", "enable_info_endpoint"):
        place = f"[api] enable_info_endpoint in '{file}'"
        try:
            enabled = _flag(parser.get("api", "enable_info_endpoint"))
        except ValueError as error:
            problems.append(f"{place} {error}.")
        else:
            path = parser.get("api", "info_json_file_path", fallback="info.json")
            found["info_file"] = (place, path if enabled else "")
    found.update(_authentication(parser, file, problems))
    return found


_WAYS: Final = {"keystone": "keystone", "keycloak-oidc": "keycloak"}
_TLS: Final = {
    "cafile": "identity_ca_file",
    "certfile": "identity_cert_file",
    "keyfile": "identity_key_file",
    "insecure": "identity_insecure",
}


def _authentication(parser: configparser.RawConfigParser, file: Path, problems: list[str]) -> Given:
    """Read how a ``mistral.conf`` has callers authenticated, which is on unless it says otherwise.

    A file that names no identity server can't mean that it is on: it is no deployment's.
    """
    place = f"[pecan] auth_enable in '{file}'"
    given = parser.get("pecan", "auth_enable", fallback=None)
    try:
        enabled = None if given is None else _flag(given)
    except ValueError as error:
        problems.append(f"{place} {error}.")
        return {}
    way = parser.get("DEFAULT", "auth_type", fallback="keystone")
    if way not in _WAYS:
        problems.append(f"[DEFAULT] auth_type in '{file}' must be one of {', '.join(_WAYS)}, not {way!r}.")
        return {}
    section = "keystone_authtoken" if way == "keystone" else "keycloak_oidc"
    found: Given = {
        name: (f"[{section}] {option} in '{file}'", parser.get(section, option))
        for option, name in _TLS.items()
        if parser.has_option(section, option)
    }
    if enabled is None:
        enabled = parser.has_option(section, "auth_url")
    found["auth"] = (place, _WAYS[way] if enabled else "none")
    if parser.has_option("oslo_policy", "policy_file"):
        # As for Mistral's own reading, a relative path starts where the file with the settings is.
        path = file.parent / parser.get("oslo_policy", "policy_file")
        found["policy_file"] = (f"[oslo_policy] policy_file in '{file}'", str(path))
    return found


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, _FIELDS, 1)
    return f"; did you mean '{close[0]}'?" if close else ""
