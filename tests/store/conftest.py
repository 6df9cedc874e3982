"""Stores of big values outside of the database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tests.store.outside import KEY, SECRET, BucketFiles, DirectoryFiles, Files, Gate, s3_server


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Port of an S3 server."""
    with s3_server() as port:
        yield port


@pytest.fixture(params=["directory", "bucket"])
def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """A store of big values outside of the database: the test runs once on each kind."""
    if request.param == "directory":
        yield DirectoryFiles(request.getfixturevalue("tmp_path") / "values")
        return
    port: int = request.getfixturevalue("s3_port")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    gate = Gate(port)
    try:
        yield BucketFiles(gate, port, f"bucket-{uuid.uuid4().hex}")
    finally:
        gate.stop()
