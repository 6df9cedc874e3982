"""What databases raise when they are away or busy, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tramontane.store.dialect import Dialect
from tramontane.store.errors import DatabaseBusyError, DatabaseUnavailableError


@contextmanager
def told_as_outages(dialect: Dialect) -> Iterator[None]:
    """Errors of the infrastructure become :class:`DatabaseUnavailableError`; others pass.

    Raises:
        DatabaseBusyError: others were in the way.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("all connections to the database are busy; try again later") from error
    except Exception as error:
        # Errors of connecting come as the driver raises them, others wrapped.
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        words = dialect.unavailable(cause)
        if words is None:
            raise
        if dialect.is_busy(cause):
            raise DatabaseBusyError(words) from error
        raise DatabaseUnavailableError(words) from error
