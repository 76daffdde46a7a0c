"""Notices by MQTT: the last one of each detector is retained, for who comes late.

A notice goes to ``PREFIX/DETECTOR/drift`` with quality of service 1; it is delivered when the
broker acknowledges it. The protocol is MQTT 5, where a broker says so if it refuses a message;
before, it would acknowledge and drop it. A connection lasts as long as a notice takes: alarms are
rare, and what is not connected cannot go stale.
Source: MQTT 5.0, OASIS standard, sections 3.3 (PUBLISH) and 3.4 (PUBACK).
"""

import importlib.util
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from app.errors import InvalidSinkError, NotDeliveredError
from app.notices.content import TEST, Content, body
from app.notices.one_thread import OneThread

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

PORTS = {"mqtt": 1883, "mqtts": 8883}
WAIT_S = 5.0
"""How long the broker may take to connect, and then to acknowledge."""
_FORM = "GATEWATCH_MQTT_URL must be mqtt[s]://USER:PASSWORD@HOST:PORT/PREFIX"


class Mqtt:
    """One broker, and the topic that all notices are below."""

    def __init__(self, url: str) -> None:
        """Check what is given.

        Raises:
            InvalidSinkError: if the URL is none of a broker, which is not repeated, or what speaks
                MQTT is not installed.
        """
        if importlib.util.find_spec("paho") is None:
            raise InvalidSinkError("GATEWATCH_MQTT_URL needs: pip install 'gatewatch[mqtt]'")
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise InvalidSinkError(_FORM) from None
        self._prefix = unquote(parts.path).strip("/")
        if not parts.hostname or parts.query or parts.fragment:
            raise InvalidSinkError(_FORM)
        if not self._prefix or any(char in "+#\0" for char in self._prefix):
            raise InvalidSinkError(f"{_FORM}, with a PREFIX that has no + or #")
        self._host, self._port, self._tls = parts.hostname, port, parts.scheme == "mqtts"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._thread = OneThread("MQTT broker")

    async def deliver(self, content: Content) -> None:
        """Publish a notice.

        Raises:
            NotDeliveredError: unless the broker acknowledges it in time.
        """
        try:
            await self._thread.run(partial(self._publish, content))
        except (OSError, ValueError) as error:  # paho's own errors are of these, too
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NotDeliveredError(f"the MQTT broker fails: {reason}") from error

    def topic(self, content: Content) -> str:
        """Return where a notice goes."""
        if content["type"] == TEST:
            return f"{self._prefix}/notices/test"
        return f"{self._prefix}/{content['detector']}/drift"

    def _publish(self, content: Content) -> None:
        told = _Told()
        client = self._client(told)
        client.connect(self._host, self._port)
        client.loop_start()
        try:
            told.wait_for("connection")
            is_state = content["type"] != TEST
            client.publish(self.topic(content), body(content), qos=1, retain=is_state)
            told.wait_for("acknowledgement")
        finally:
            client.disconnect()
            client.loop_stop()

    def _client(self, told: "_Told") -> "Client":
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = WAIT_S
        if self._tls:
            client.tls_set()
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        client.on_connect = lambda _client, _data, _flags, reason, _more: told.say(reason)
        client.on_publish = lambda _client, _data, _mid, reason, _more: told.say(reason)
        client.on_disconnect = lambda _client, _data, _flags, reason, _more: told.say(reason)
        return client


class _Told:
    """What the broker says, in order; it comes in a thread of its own."""

    def __init__(self) -> None:
        self._reasons: SimpleQueue[ReasonCode] = SimpleQueue()

    def say(self, reason: "ReasonCode") -> None:
        """Take a reason code."""
        self._reasons.put(reason)

    def wait_for(self, what: str) -> None:
        """Wait for the broker.

        Raises:
            NotDeliveredError: if it is not in time, or refuses.
        """
        try:
            reason = self._reasons.get(timeout=WAIT_S)
        except Empty:
            raise NotDeliveredError(f"the MQTT broker gives no {what} in {WAIT_S:g} s") from None
        if reason.is_failure:
            raise NotDeliveredError(f"the MQTT broker refuses: {reason}")
