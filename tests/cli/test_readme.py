"""What the README shows works as it stands there, also with Mistral's own client."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli import program
from tests.cli.program import ROOT
from tests.cli.test_serve import service

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's first workflow."""
    (definition,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "greet.yaml").write_text(definition, encoding="utf-8")
    return tmp_path


def lines_of(name: str) -> list[list[str]]:
    found = [shlex.split(line, comments=True) for line in re.findall(rf"^{name} .+$", README, re.MULTILINE)]
    assert found
    return found


def test_the_first_workflow_is_ten_lines_and_runs(folder: Path) -> None:
    assert len((folder / "greet.yaml").read_text(encoding="utf-8").splitlines()) <= 10
    for words in lines_of("tramontane"):
        if words[1] in ("validate", "run"):
            end = program.run(*words[1:], cwd=folder)
            assert end.status == 0, end.err
    assert '"said": "Hello, world!"' in end.out


def test_mistrals_client_does_what_is_shown(folder: Path) -> None:
    with service(folder) as (_, url):
        variables = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
        outputs = [
            subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "mistralclient.shell", *words[1:]],
                cwd=folder,
                env={**variables, "OS_MISTRAL_URL": f"{url}/v2"},
                capture_output=True,
                text=True,
                timeout=program.TIMEOUT,
                check=True,
            ).stdout
            for words in lines_of("mistral")
        ]
    assert "greet" in outputs[0]
    assert "SUCCESS" in outputs[-1]
