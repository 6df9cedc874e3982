"""Run by Alembic with the connection that :mod:`tramontane.store.migrations` has opened."""

from alembic import context

from tramontane.store.migrations import VERSION_TABLE
from tramontane.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
