"""One trial request to an ejected replica: does anybody speak HTTP there?

The signs that eject (refused, reset, silent) are about the connection, so any HTTP answer refutes them,
whatever its code. The worker asks by itself rather than risk a client's request, which a frozen replica would
hold for a minute.
"""

import asyncio

from loadbalancer.aio.resolver import Reach

TRIAL = b"GET %b HTTP/1.1\r\nHost: replica\r\nUser-Agent: carousel-trial\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1."


async def answers(reach: Reach, host: str, port: int, path: str, patience_s: float) -> bool:
    """Whether an HTTP answer begins within `patience_s`. Never raises, save for its cancellation."""

    async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(address, port)

    try:
        async with asyncio.timeout(patience_s):
            return await _ask(*await reach(host, connect, patience_s), path)
    except (OSError, EOFError, UnicodeError):  # TimeoutError is an OSError; a host may be no name
        return False


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bool:
    try:
        writer.write(TRIAL % path.encode())
        return await reader.readexactly(len(ANSWER)) == ANSWER
    finally:
        writer.transport.abort()
