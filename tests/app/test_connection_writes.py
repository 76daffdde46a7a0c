"""What goes together is written together: a connection's transport over one that is recorded."""

import asyncio
from typing import Any

from app.connections import MOST_HELD_BYTES, _Transport


class Recorded:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[list[bytes]] = []

    def writelines(self, parts: list[bytes]) -> None:
        self.written.append(parts)

    def is_closing(self) -> bool:
        return False


def test_what_is_written_together_goes_out_together() -> None:
    """Contract: at once if it is much, the connection ends or the answer does; else very soon."""

    async def test() -> None:
        real: Any = Recorded()
        transport = _Transport(real, asyncio.get_running_loop(), lambda: None)
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

    asyncio.run(test())
