"""The command as people run it: a process of its own, whose output and exit status are looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120  # seconds after which a process counts as hanging


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    status: int
    out: str
    err: str


def environment(**added: str) -> dict[str, str]:
    """The variables of a process that finds the package and nobody's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAMONTANE_")}
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **added}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tramontane", *map(str, arguments)]


def run(*arguments: str | Path, cwd: Path | None = None, stdin: str = "", **variables: str) -> Ended:
    """Run the command to its end."""
    ended = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def started(arguments: Sequence[str | Path], cwd: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command; it is killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process that was started."""
    out, err = process.communicate(timeout=TIMEOUT)
    return Ended(process.returncode, out, err)


def assert_one_clear_line(text: str) -> None:
    """An error for people: a single line without anything of Python."""
    assert len(text.strip().splitlines()) == 1, text
    assert "Traceback" not in text
