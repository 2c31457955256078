"""A replica with faults of its own, for the drills: any HTTP server can be one (--server-command), so this one is.

It answers /home and /heartbeat as the bundled server does, and POST /fault/hang (its port stays open and nothing is
ever answered again) and POST /fault/exit (ends at once, with status 3).
"""

import asyncio
import os
import time

from wire.aio.service import Service
from wire.exchange import Request, Response, error_response, json_response

HANG_S = 3600.0


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
        case _:
            return error_response(404, f"'{request.path}' does not exist")


async def serve() -> None:
    service = Service(answer)
    loop = asyncio.get_running_loop()
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    server = await loop.create_server(service.protocol, host, port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
