"""Alembic's entry: runs the migrations on the connection that `data.database.upgrade` gives it.

Imported by anything else than Alembic, it does nothing.
"""

from alembic import context

config = getattr(context, "config", None)
if config is not None:
    context.configure(connection=config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
