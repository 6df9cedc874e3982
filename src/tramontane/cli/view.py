"""Showing a running execution: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tramontane.cli.watch import Snapshot, Step
from tramontane.states import CANCELLED, DELAYED, ERROR, IDLE, PAUSED, RUNNING, SKIPPED, SUCCESS, WAITING

_LOOKS: Final = {  # state: symbol, the same in ASCII, colour
    SUCCESS: ("✓", "+", "green"),
    ERROR: ("✗", "x", "red"),
    CANCELLED: ("⊘", "-", "yellow"),
    SKIPPED: ("↷", ">", "yellow"),
    PAUSED: ("⏸", "=", "yellow"),
    DELAYED: ("◷", "~", "cyan"),
    WAITING: ("○", ".", "dim"),
    IDLE: ("○", ".", "dim"),
    RUNNING: ("●", "*", "cyan"),
}
_INFO_LINES: Final = 4
_BY_TASKS: Final = "Failure caused by error in tasks"
_QUIET: Final = frozenset({SUCCESS, SKIPPED})  # states whose lines may give way on a small terminal


class LiveView:
    """A table that is drawn anew in place. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("line" if console.options.ascii_only else "dots", style="cyan")
        self._live = Live(console=console, refresh_per_second=10, transient=True)
        self._last: Snapshot | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._last is not None:
            self._console.print(self._draw(self._last, None))

    def show(self, snapshot: Snapshot) -> None:
        self._last = snapshot
        self._live.update(self._draw(snapshot, self._console.size.height - 4))

    def _draw(self, snapshot: Snapshot, height: int | None) -> RenderableType:
        steps = list(snapshot.steps) if height is None else fitting(snapshot.steps, max(height, 3))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=4, style="dim")
        table.add_column(justify="right")
        for step in steps:
            table.add_row(
                self._symbol(step.state),
                Text("  " * step.depth + step.name, style=_style(step.state)),
                self._detail(step),
                Text(f"{step.seconds:.1f}s", style="dim"),
            )
        hidden = len(snapshot.steps) - len(steps)
        reasons = [f"{step.path}: {_shorten(step.info)}" for step in failed(snapshot)]
        if reason := own_reason(snapshot):
            reasons.append(_shorten(reason))
        title = Text.assemble(
            (snapshot.name, "bold"),
            " ",
            (snapshot.state, _style(snapshot.state)),
            f" {snapshot.seconds:.1f}s",
        )
        more = [Text(f"… and {hidden} more tasks", style="dim")] if hidden else []
        return Group(title, table, *more, *(Text(text, style=_style(snapshot.state)) for text in reasons))

    def _symbol(self, state: str) -> RenderableType:
        if state == RUNNING:
            return self._spinner
        symbol, ascii_symbol, style = _LOOKS[state]
        return Text(ascii_symbol if self._console.options.ascii_only else symbol, style=style)

    def _detail(self, step: Step) -> RenderableType:
        if step.items is None or step.state != RUNNING:
            return Text(_words(step))
        done, total = step.items
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total, done, width=20), Text(_words(step)))
        return grid


class LineView:
    """One line for each change of state that matters, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: dict[str, str] = {}
        self._state = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        for step in snapshot.steps:
            if self._shown.get(step.id) == step.state:
                continue
            self._shown[step.id] = step.state
            words = f" ({_words(step)})" if _words(step) else ""
            info = f": {_shorten(step.info)}" if step.state == ERROR and step.info else ""
            self._line(snapshot, step.state, f"{step.path}{words}{info}")
        if self._state != snapshot.state and snapshot.state != RUNNING:
            self._state = snapshot.state
            reason = own_reason(snapshot)
            info = f": {_shorten(reason)}" if reason else ""
            self._line(snapshot, snapshot.state, f"{snapshot.name}{info}")

    def _line(self, snapshot: Snapshot, state: str, text: str) -> None:
        self._write(f"{snapshot.seconds:7.1f}s  {state:<9} {text}")


def open_view(console: Console) -> LiveView | LineView:
    """Choose the view that fits where ``console`` writes to."""
    return (
        LiveView(console)
        if console.is_terminal
        else LineView(lambda line: console.print(line, markup=False, soft_wrap=True))
    )


def failed(snapshot: Snapshot) -> list[Step]:
    """Return the steps that explain a failure: those in ERROR with nothing failed below them."""
    failures = [step for step in snapshot.steps if step.state == ERROR and step.info]
    return [
        step for step in failures if not any(other.path.startswith(f"{step.path}/") for other in failures)
    ]


def own_reason(snapshot: Snapshot) -> str:
    """Return why the execution is in its state, unless its failed tasks tell that already."""
    return "" if snapshot.info.startswith(_BY_TASKS) and failed(snapshot) else snapshot.info


def fitting(steps: tuple[Step, ...], height: int) -> list[Step]:
    """Choose the steps that a small terminal shows: the busy and the failed ones before the done."""
    surplus = len(steps) - height
    if surplus <= 0:
        return list(steps)
    quiet = [index for index, step in enumerate(steps) if step.state in _QUIET][:surplus]
    left = set(quiet)
    return [step for index, step in enumerate(steps) if index not in left][:height]


def _words(step: Step) -> str:
    words = [step.detail] if step.detail else []
    if step.items is not None:
        words.append(f"{step.items[0]} of {step.items[1]}")
    if step.retries:
        words.append(f"retry {step.retries}")
    return ", ".join(words)


def _shorten(info: str) -> str:
    lines = info.splitlines()
    return "\n".join(lines[:_INFO_LINES] + (["…"] if len(lines) > _INFO_LINES else []))


def _style(state: str) -> str:
    return _LOOKS[state][2]
