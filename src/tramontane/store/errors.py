"""What can go wrong between the service and its database, in words for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tramontane.errors import TramontaneError, UnavailableError


class DatabaseUnavailableError(UnavailableError):
    """The database can't be reached or is too busy; nothing of what was asked has happened."""

    code = "database-unavailable"


class DatabaseBusyError(DatabaseUnavailableError):
    """Others were in the way of a transaction; it may be run again at once."""


class ValueStoreUnavailableError(DatabaseUnavailableError):
    """The store of big values outside of the database can't be reached; nothing was written."""

    code = "value-store-unavailable"


class LostValueError(TramontaneError):
    """A big value that a row refers to isn't where it was stored; what needs it can't go on without."""

    code = "value-lost"

    def __init__(self, content_hash: str, root_id: str, why: str = "its text is gone") -> None:
        super().__init__(
            f"A big value can't be read: {why} [hash={content_hash}, root_execution_id={root_id}]"
        )
        self.root_id = root_id


class NewerRecordError(UnavailableError):
    """The record was written by a later version of the service, in a format that this one doesn't know."""

    code = "newer-record"


class OutcomeUnknownError(UnavailableError):
    """The connection broke while a COMMIT was under way: it may have happened or not.

    ``token`` was given to all heads of that commit; ``executions.was_committed`` tells.
    """

    code = "commit-unknown"

    def __init__(self, message: str, token: int) -> None:
        super().__init__(message)
        self.token = token


class ClaimUnknownError(UnavailableError):
    """The connection broke while jobs were claimed: these attempts may be claimed now, or not.

    ``attempts``: (action id, attempt).
    """

    code = "claim-unknown"

    def __init__(self, message: str, attempts: Sequence[tuple[str, int]]) -> None:
        super().__init__(message)
        self.attempts = attempts


class DatabaseSetupError(TramontaneError):
    """The database can't be used as it is; the message says what to do about it."""

    code: ClassVar[str] = "database-setup"


class FileInUseError(DatabaseSetupError):
    """Another process owns the database file."""

    code = "database-in-use"


class SchemaError(DatabaseSetupError):
    """The tables are older or newer than this version of the service."""

    code = "database-schema"


class RefusedError(Exception):
    """The database refused the data of a batch; some turn in it can't be stored. Internal."""


class ConsumedError(RefusedError):
    """Inbox rows that a turn uses up are gone: somebody else has counted them. Internal."""


class ContentionError(Exception):
    """Others were in the way (deadlock, serialisation, lock timeout): the same batch may be run again."""


class TakenError(Exception):
    """Heads that were to be inserted exist already. Internal."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(ids)))
        self.ids = ids
