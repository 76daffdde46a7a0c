"""What Alembic runs: the migrations, on the connection that ``app.storage.database`` holds."""

import logging

from alembic import context

from app.storage.drift_tables import DRIFT_NOTES
from app.storage.notice_tables import NOTICES
from app.storage.tables import DETECTORS

TABLES = (DETECTORS, NOTICES, DRIFT_NOTES)

logging.getLogger("alembic").setLevel(logging.WARNING)  # it would tell of every start
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES[0].metadata,  # of all: their modules add to app.storage.columns
    transactional_ddl=True,
)
context.run_migrations()
