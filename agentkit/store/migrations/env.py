"""Run by Alembic: migrate the connection that `agentkit.store.migrate` hands over, inside its transaction."""

from alembic import context

from agentkit.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
