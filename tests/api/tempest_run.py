"""Runs the API tests of OpenStack's own plugin for Mistral against a server, and prints how each ended.

A process of its own, since tempest brings its configuration, logging and warnings along. The server
takes the name of a project as token. Usage: ``tempest_run.py URL FOLDER``.
"""

from __future__ import annotations

import json
import logging
import sys
import unittest
from collections.abc import Iterator
from typing import Any

import testtools
from mistral_tempest_tests.services.v2.mistral_client import MistralClientV2
from mistral_tempest_tests.tests import base
from oslo_concurrency import lockutils

NEEDS_INTERNET = (
    "test_run_action_std_http",
    "test_run_action_std_http_error",
    "test_run_action_std_http_non_utf8_response",
)
PACKAGE = "mistral_tempest_tests.tests.api.v2"
MODULES = (
    "workbooks",
    "workflows",
    "actions",
    "executions",
    "tasks",
    "action_executions",
    "cron_triggers",
    "event_triggers",
)


PROJECTS = {
    "client": "11111111-1111-4111-8111-111111111111",
    "alt_client": "22222222-2222-4222-8222-222222222222",
    "admin_client": "33333333-3333-4333-8333-333333333333/admin",
}


class Project:
    """What tempest's client asks for: it prepares requests for one project."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self.credentials = self
        self.tenant_id = token.partition("/")[0]

    def auth_request(
        self, method: str, url: str, headers: Any = None, body: Any = None, filters: Any = None
    ) -> tuple[str, dict[str, str], Any]:
        return f"{self._url}/{url}", {**(headers or {}), "X-Auth-Token": self._token}, body

    def base_url(self, *_: Any, **__: Any) -> str:
        return self._url


def prepare(url: str, folder: str) -> None:
    """Have the plugin's tests use this server instead of asking Keystone for projects."""
    lockutils.set_defaults(folder)

    def set_up(case: Any) -> None:
        testtools.TestCase.setUp(case)
        for name, token in PROJECTS.items():
            setattr(case, name, MistralClientV2(Project(url, token), "workflowv2"))

    base.TestCase.setUp = set_up
    base.TestCase.setUpClass = base.TestCase.tearDownClass = classmethod(lambda _: None)
    base.TestCase.tearDown = tear_down


def tear_down(case: Any) -> None:
    testtools.TestCase.tearDown(case)
    for workbook in case.client.workbooks:
        case.client.delete_obj("workbooks", workbook)


def cases(suite: unittest.TestSuite) -> Iterator[Any]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


def main(url: str, folder: str) -> None:
    logging.disable(logging.CRITICAL)
    prepare(url, folder)
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"{PACKAGE}.test_{name}" for name in MODULES])
    for case in cases(suite):
        name = case.id().partition("[")[0]
        result = unittest.TestResult()
        if not name.endswith(NEEDS_INTERNET):
            case.run(result)
        failures = [text for _, text in (*result.failures, *result.errors)]
        how = "failed" if failures else "skipped" if result.skipped or not result.testsRun else "passed"
        print(json.dumps({"test": name, "how": how, "why": "\n".join(failures)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
