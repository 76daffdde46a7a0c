"""What goes together is written together: a connection's transport over one that is recorded."""

import asyncio
from typing import Any

import pytest
from connection_helpers import GET, POST, Served, answer_of, on_server

from app import connections
from app.connection_writes import MOST_HELD_BYTES, Transport


class Recorded:
    """A transport that keeps what it is given, and passes all on to another if there is one."""

    def __init__(self, real: Any = None) -> None:
        self.written: list[list[bytes]] = []
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, parts: list[bytes]) -> None:
        self.written.append(parts)
        if self._real is not None:
            self._real.writelines(parts)

    def is_closing(self) -> bool:
        return self._real is not None and self._real.is_closing()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The transports of all connections, in the order in which they were made."""
    made: list[Recorded] = []
    as_made = connections._Limited.connection_made

    def connection_made(protocol: Any, transport: Any) -> None:
        made.append(Recorded(transport))
        as_made(protocol, made[-1])

    monkeypatch.setattr(connections._Limited, "connection_made", connection_made)
    return made


def test_what_is_written_together_goes_out_together() -> None:
    """Contract: at once if it is much, the connection ends or the answer does; else very soon."""

    async def test() -> None:
        real: Any = Recorded()
        transport = Transport(real, asyncio.get_running_loop(), lambda: None)
        transport.write(b"head")
        transport.write(b"body")
        assert real.written == []
        transport.flush()
        transport.write(b"event")
        await asyncio.sleep(0)
        transport.write(bytes(MOST_HELD_BYTES + 1))
        assert [sum(map(len, parts)) for parts in real.written] == [8, 5, MOST_HELD_BYTES + 1]
        transport.write(b"last")
        transport.close()
        assert real.written[-1] == [b"last"]
        transport.write(b"too late")
        transport.flush()
        assert real.written[-1] == [b"last"]

    asyncio.run(test())


def test_an_answer_is_one_write(recorded: list[Recorded]) -> None:
    """Contract: head and body of a request to a real server, and of the next on its connection."""

    async def test(server: Served) -> None:
        async with server.asked() as raw:
            for number in (1, 2):
                await asyncio.get_running_loop().sock_sendall(raw, GET % b"here")
                head, body = await answer_of(raw)
                (connection,) = recorded
                assert len(connection.written) == number
                sent = b"".join(connection.written[-1])
                assert sent.lower() == head + b"\r\n\r\n" + body

    on_server(test)


def test_what_is_answered_after_the_end_is_dropped(recorded: list[Recorded]) -> None:
    """Contract: a body that is no HTTP ends the connection; the answer that comes then is late."""
    told: list[dict[str, Any]] = []

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        head = POST % (b"soon", b"Transfer-Encoding: chunked")
        async with server.asked(head + b"no chunk\r\n") as raw:
            async with asyncio.timeout(50):
                answer = await loop.sock_recv(raw, 1000)
                assert answer.startswith(b"HTTP/1.1 400")
            await asyncio.sleep(1)
        (connection,) = recorded
        assert len(connection.written) == 1

    on_server(test)
    assert told == []
