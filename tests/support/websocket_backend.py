"""A WebSocket application as a backend: `python websocket_backend.py` prints its port and serves until it is killed.

It is made of the `websockets` package alone, so that nobody who wrote the front door decides what a WebSocket is.

| path | what it does |
|---|---|
| /echo | sends back each message, in the fragments in which it came |
| /who | sends its pid, then echoes |
| /ping | pings its client, says `pong` when the answer is there |
| /close/CODE | closes with that code |
| /refuse | refuses the handshake: 403 |
| others, without a handshake | 200, which heartbeats ask for |
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("chat.v2")


async def converse(connection: ServerConnection) -> None:
    assert connection.request is not None
    _, name, *rest = connection.request.path.split("/")
    match name:
        case "ping":
            await (await connection.ping(b"are you there"))
            await connection.send("pong")
        case "close":
            await connection.close(int(rest[0]), "as you wish")
        case "who":
            await connection.send(str(os.getpid()))
            await echo(connection)
        case _:
            await echo(connection)


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.send(connection.recv_streaming())


def before(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/refuse":
        return connection.respond(HTTPStatus.FORBIDDEN, "not you\n")
    if "Upgrade" not in request.headers and request.path != "/echo":
        return connection.respond(HTTPStatus.OK, "ok\n")
    return None


def choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


async def main() -> None:
    async with serve(
        converse, "127.0.0.1", 0, process_request=before, select_subprotocol=choose, max_size=None
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
