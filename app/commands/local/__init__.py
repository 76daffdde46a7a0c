"""The service in this process in the words of ``gatewatch.Client``: same methods, same answers.

Its jobs are not queued: they run here, when they are waited for.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.commands.local.base import LocalJob
from app.commands.local.judging import Judging
from app.commands.local.learning import Learning
from app.commands.local.managing import Managing
from app.commands.local.past import Past
from app.main import create_service
from app.settings import Settings

__all__ = ["Local", "LocalJob", "started"]


class Local(Managing, Learning, Judging, Past):
    """What commands ask of the data directory."""

    @property
    def limits(self) -> Mapping[str, int]:
        """What may be sent at most, and at least."""
        return self._service.settings.limits


@contextmanager
def started(settings: Settings) -> Iterator[Local]:
    """Give a service on what the settings name, started, and stopped at the end."""
    with asyncio.Runner() as runner:
        service = create_service(settings, exports=False)
        runner.run(service.__aenter__())
        try:
            yield Local(service, runner)
        finally:
            runner.run(service.__aexit__())
