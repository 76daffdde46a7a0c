"""Where notices go: what the settings say, checked when the server starts."""

import logging
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from app.notices.content import Content
from app.notices.folder import Folder
from app.notices.mqtt import Mqtt
from app.notices.webhook import Webhook
from app.settings import Settings

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes notices, one at a time; may get one again, and then the same."""

    async def deliver(self, content: Content) -> None:
        """Hand over a notice; it has arrived when this returns.

        Raises:
            NotDeliveredError: if it has not, or nobody can tell.
        """


def sinks_of(settings: Settings) -> Mapping[str, Sink]:
    """Return all sinks, by the names that ``Settings.sinks`` gives them.

    Raises:
        InvalidSinkError: if a setting cannot be used.
    """
    found: dict[str, Sink] = {}
    if settings.webhook_url is not None:
        url = settings.webhook_url.get_secret_value()
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        found["webhook"] = Webhook(url, secret, settings.webhook_seconds)
        if urlsplit(url).scheme == "http":
            log.warning("notices to the webhook are signed, but can be read on their way: no https")
    if settings.mqtt_url is not None:
        found["mqtt"] = Mqtt(settings.mqtt_url.get_secret_value())
    if settings.notices_dir is not None:
        found["folder"] = Folder(settings.notices_dir)
    return found
