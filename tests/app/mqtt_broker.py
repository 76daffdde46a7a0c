"""A real MQTT broker on loopback, and what it has for a subscriber."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

USER, PASSWORD = "line/1", "p@ss:w"


def _program(name: str) -> str:
    """Where a program lies; Debian puts the broker where not every user looks."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed: it comes with Debian's package mosquitto")
    return path


class Broker:
    """Where it listens; it takes one user, who may write below ``plant`` only."""

    def __init__(self, directory: Path, port: int) -> None:
        self.port = port
        self._directory = directory

    @contextmanager
    def running(self) -> Iterator["Broker"]:
        """Run it until the block ends."""
        program, passwords = _program("mosquitto"), _program("mosquitto_passwd")
        users, rights = self._directory / "users", self._directory / "rights"
        subprocess.run([passwords, "-b", "-c", users, USER, PASSWORD], check=True)
        rights.write_text(f"user {USER}\ntopic readwrite plant/#\n")
        settings = self._directory / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
            f"acl_file {rights}\nuser root\n"  # if started so: it would take another's rights
        )
        log = (self._directory / "log").open("w")
        process = subprocess.Popen([program, "-c", settings], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not self._listens():
                assert process.poll() is None, (self._directory / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield self
        finally:
            process.kill()
            process.wait()
            log.close()

    def heard(
        self, topic: str, messages: int, timeout_s: float = 60
    ) -> list[tuple[str, Any, bool]]:
        """Subscribe late; return topic, content and whether it was retained, of what comes."""
        got: list[tuple[str, Any, bool]] = []
        enough = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set(USER, PASSWORD)
        client.on_connect = lambda *_: client.subscribe(topic, qos=1)

        def take(_client: Any, _data: Any, message: Any) -> None:
            got.append((message.topic, json.loads(message.payload), message.retain))
            if len(got) >= messages:
                enough.set()

        client.on_message = take
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            assert enough.wait(timeout_s), got
        finally:
            client.disconnect()
            client.loop_stop()
        return got

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
