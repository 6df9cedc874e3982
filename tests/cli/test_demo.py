"""The demo works, tells when it doesn't, and leaves nothing behind."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.cli.program import ROOT, TIMEOUT, environment

DEMO = ROOT / "examples/demo"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DEMO)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    return importlib.import_module("demo")


def test_the_demo_ends_well_and_cleans_up(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(DEMO / "demo.py")],
        env=environment(TMPDIR=str(tmp_path), TRAMONTANE_PORT="not for the demo"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SUCCESS   exchange_rate (std.http, retry 2)" in ended.stdout
    assert "SUCCESS   purchase/place_order (std.http)" in ended.stdout
    assert '"total": 449.28' in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_refused_workflow_fails_the_demo_with_one_reason(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "a" / "b" / "restock.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("version: '2.0'\nrestock: {}\n", encoding="utf-8")
    monkeypatch.setattr(demo, "WORKFLOW", broken)
    assert demo.main() == 1
    errors = capsys.readouterr().err
    assert errors.startswith("The demo failed: ")
    assert "restock" in errors


def test_an_unexpected_output_fails_the_demo(demo: ModuleType) -> None:
    with pytest.raises(demo.DemoError, match="Unexpected needed, order in the output"):
        demo.check({"best_offer": {"supplier": "birch", "product": "umbrella", "price": 6.4}, "needed": 1})
