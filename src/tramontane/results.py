"""What a run of an action gives: data, an error or a cancellation (action specification, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tramontane.states import CANCELLED, ERROR, SUCCESS


@dataclass(frozen=True, slots=True)
class Result:
    """Result of an action: ``cancel`` beats ``error``, which beats ``data``.

    ``data`` and ``error`` are frozen values (:mod:`tramontane.values`); an error is present
    when ``error`` isn't None.
    """

    data: Any = None
    error: Any = None
    cancel: bool = False

    @property
    def state(self) -> str:
        if self.cancel:
            return CANCELLED
        return ERROR if self.error is not None else SUCCESS

    @property
    def value(self) -> Any:
        """What ``output.result`` holds: the error where there is one (or a cancellation), else the data."""
        return self.data if self.state == SUCCESS else self.error
