"""A replica with faults of its own, for the drills: any HTTP server can be one (--server-command), so this one is.

It answers /home and /heartbeat as the bundled server does, and POST /fault/hang (its port stays open and nothing is
ever answered again), POST /fault/exit (ends at once, with status 3) and POST /fault/memory (takes 1 GiB at once, more
than a container of the drills may have). It needs only `wire`, so a container of the bundled image runs it too.
"""

import asyncio
import os
import signal
import time

from wire.aio.service import Service
from wire.exchange import Request, Response, error_response, json_response

HANG_S = 3600.0
EATEN_BYTES = 1 << 30


def answer(request: Request) -> Response:
    """The answer to one request, or a fault."""
    name = os.environ.get("SERVER_ID", "unknown")
    match request.path:
        case "/home":
            return json_response(200, {"message": f"Hello from Server: {name}", "status": "successful"})
        case "/heartbeat":
            return Response(200)
        case "/fault/hang":
            time.sleep(HANG_S)  # the whole loop, which is the point
            return Response(200)
        case "/fault/exit":
            os._exit(3)
        case "/fault/memory":
            eaten = b"x" * EATEN_BYTES  # written, so that every page of it counts
            return json_response(200, {"message": f"{len(eaten)} bytes"})
        case _:
            return error_response(404, f"'{request.path}' does not exist")


async def serve() -> None:
    service = Service(answer)
    loop = asyncio.get_running_loop()
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)  # the first process of a container ignores it by default
    server = await loop.create_server(service.protocol, host, port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
