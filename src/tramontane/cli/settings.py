"""Options of the command line that stand for settings: one for each field of ``Settings``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tramontane.config import Settings, SettingsError, load_settings

MEANINGS: Final = {
    "database": "sqlite:///FILE, sqlite:// (in memory), or postgresql:// or mariadb://USER:PASSWORD@HOST/NAME.",
    "database_hints": "Use advisory locks, and LISTEN/NOTIFY of PostgreSQL, which not every engine has.",
    "big_values": "Where values from 16 KB on are kept: database, file:///DIRECTORY or s3://BUCKET/PREFIX.",
    "host": "Address or name to listen on.",
    "port": "Port to listen on; 0 takes any free one.",
    "workers": "Processes that serve side by side, each a node; more than one need a database server.",
    "max_limit": "Most objects on one page of a list.",
    "max_body_bytes": "Largest request body.",
    "max_wait_seconds": "Longest time that a request waits for the end of an execution.",
    "validation_mode": "Whether definitions are checked: mandatory, enabled (clients may skip it), disabled.",
    "strict_definitions": "Refuse definitions with warnings.",
    "allow_action_execution_deletion": "Let clients delete finished action executions without a task.",
    "info_file": "JSON file that GET /info answers with; without one there is no /info.",
    "healthcheck": "Answer GET /healthcheck.",
    "trust_proxy_headers": "Believe X-Forwarded-… headers when links are written.",
    "cors_origins": "Origins whose pages may call the API from a browser, separated by commas.",
    "auth": "How callers are known: none, token (tramontane token), keystone, oidc, keycloak.",
    "policy_file": "YAML file with rules of who may do what, instead of the default ones of the same name.",
    "identity_ca_file": "Authorities that vouch for the identity server, instead of the system's.",
    "identity_cert_file": "Certificate of this service towards the identity server.",
    "identity_key_file": "Key of that certificate.",
    "identity_insecure": "Don't check the identity server's certificate.",
    "keystone_url": "Keystone's address.",
    "keystone_username": "Account that tokens are checked by; without one, each token checks itself.",
    "keystone_password": "Password of that account.",
    "keystone_project": "Project of that account.",
    "keystone_user_domain": "Domain of that account.",
    "keystone_user_domain_id": "Id of the account's domain, instead of its name.",
    "keystone_project_domain": "Domain of that project.",
    "keystone_project_domain_id": "Id of the project's domain, instead of its name.",
    "keystone_service_roles": "Roles by one of which an X-Service-Token counts, separated by commas.",
    "keystone_cache_seconds": "How long Keystone's word on a token is believed.",
    "oidc_issuer": "Issuer of the tokens, as they name it; its discovery document says the rest.",
    "oidc_audience": "What tokens must be meant for, one of these, separated by commas.",
    "oidc_project_claim": "Claim that names the project; a.b is b inside of a.",
    "oidc_roles_claim": "Claim that lists the roles, of which 'admin' makes an administrator.",
    "oidc_user_claim": "Claim that names the user.",
    "keycloak_url": "Keycloak's address, each of whose realms is a project.",
    "keycloak_certs_path": "Path of a realm's keys below that address; %s is the realm.",
    "keycloak_user_info_url": "Endpoint that checks tokens instead of the keys, if it is a whole URL.",
    "keycloak_issuer": "What a token's issuer must be, %s being the realm; anything if empty.",
    "secret_keys": "Keys that callers' tokens are stored under, the newest first, separated by commas.",
    "field_size_limit_kb": "Largest input, output or published data of an execution; -1: no limit.",
    "merge_strategy": "How published maps meet variables of the same name: replace them, or merge into them.",
    "context_versioning": "Let the newer of two values win where branches join.",
    "max_waiting_requests": "Requests that may wait in memory before further ones are answered with 503.",
    "cached_executions": "Executions kept in memory between their turns, with forty records each on average.",
    "executor_slots": "Actions that run at the same time.",
    "executor_threads": "Threads for actions that block.",
    "executor_name": "Name that the task attribute 'target' reaches this node by.",
    "ignore_unknown_targets": "Run actions anywhere whose target nobody ever served; else they fail.",
    "caller_seconds": "Longest time that a request waits for an action that it asked to run.",
    "load_action_plugins": "Use the action plug-ins that are installed.",
    "action_allowlist": "Patterns of actions to offer, separated by commas; all if empty.",
    "action_denylist": "Patterns of actions not to offer, separated by commas.",
    "http_timeout_seconds": "Timeout of std.http where a task gives none; 0: none.",
    "http_max_response_bytes": "Largest response that std.http takes; 0: no limit.",
    "http_allowed_hosts": "Hosts that HTTP actions may connect to, separated by commas; all if empty.",
    "http_denied_cidrs": "Networks that HTTP actions may not connect to, separated by commas.",
    "log_request_bodies": "Write bodies of requests of HTTP actions to the log.",
    "log_response_bodies": "Write bodies of responses to HTTP actions to the log.",
    "sensitive_headers": "Headers whose values never get into the log, separated by commas.",
    "heartbeat_seconds": "How often a node says that it lives.",
    "lease_seconds": "Silence after which a node counts as dead; at least three heartbeats.",
    "shutdown_grace_seconds": "How long running actions may go on after the service was asked to stop.",
}
"""What each setting does, in one line; the reference has the same lines."""


class WrongCallError(click.ClickException):
    """Options or settings that can't be meant: one line, status 2."""

    exit_code = 2


_FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}

Function = TypeVar("Function", bound=Callable[..., Any])


def setting_options(names: Iterable[str] = _FIELDS) -> Callable[[Function], Function]:
    """Add an option for each setting, and ``--config-file``; they are passed on as ``given``.

    What isn't given is None, so that the file and the environment have their say.
    """

    def decorate(function: Function) -> Function:
        for name in reversed(list(names)):
            function = _option(name)(function)
        return click.option(
            "--config-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File with settings: TOML, or an existing mistral.conf.",
        )(function)

    return decorate


def _option(name: str) -> Callable[[Function], Function]:
    text = f"--{name.replace('_', '-')}"
    if isinstance(_FIELDS[name].default, bool):
        return click.option(f"{text}/--no-{text[2:]}", name, default=None, help=MEANINGS[name])
    return click.option(text, name, metavar=_metavar(name), help=f"{MEANINGS[name]}{_default(name)}")


def _metavar(name: str) -> str:
    default = _FIELDS[name].default
    if name == "database":
        return "URL"
    if isinstance(default, int | float):
        return "NUMBER"
    return "LIST" if isinstance(default, tuple) else "TEXT"


def _default(name: str) -> str:
    default = _FIELDS[name].default
    if default in (None, "", ()):
        return ""
    shown = ", ".join(default) if isinstance(default, tuple) else format_number(default)
    return f"  [default: {shown}]"


def format_number(default: Any) -> str:
    """Write 60.0 as people do."""
    return f"{default:g}" if isinstance(default, float) else str(default)


def read_settings(config_file: Path | None, given: dict[str, Any]) -> Settings:
    """Put the settings together; what is wrong ends the command with status 2."""
    try:
        return load_settings(config_file, **given)
    except SettingsError as error:
        raise WrongCallError(error.message) from None
