"""What Alembic runs: the migrations, on the connection that ``app.storage.database`` holds."""

import logging

from alembic import context

from app.storage.notice_tables import NOTICES

logging.getLogger("alembic").setLevel(logging.WARNING)  # it would tell of every start
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=NOTICES.metadata,  # of all tables: its module adds to app.storage.tables
    transactional_ddl=True,
)
context.run_migrations()
