"""`server.rest.control_http`: control's answers, at both kinds of address, and a control that is away."""

import shutil
import tempfile
import unittest
from unittest import mock

from server.http_calls import BadCall
from server.rest import control_http
from server.rest.cluster import Away
from server.rest.control_http import ControlHttp, NoControl, read_answer
from tests.support.http_service import ServiceCase
from wire.aio.service import Request, Response, Service
from wire.exchange import json_response
from wire.http1 import HttpError

MADE = json_response(200, {"message": "Topic:T1xP1 created successfully", "status": "success"})
THERE = json_response(400, {"message": "T1:P1 already exist", "status": "failure"})


class ControlTest(ServiceCase):
    async def asyncSetUp(self) -> None:
        self.answered = MADE
        self.asked: list[Request] = []
        await self.serve(self.answer)
        self.control = ControlHttp(f"http://127.0.0.1:{self.port}")

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answered

    async def test_it_is_made(self) -> None:
        await self.control.add_topic("T1", "P1")
        (request,) = self.asked
        self.assertEqual((request.method, request.path), ("POST", "/topics/add"))
        self.assertEqual(request.body, b'{"topic": "T1", "part": "P1"}')
        self.assertEqual(request.get("content-type"), "application/json")

    async def test_somebody_else_has_made_it(self) -> None:
        self.answered = THERE
        await self.control.add_topic("T1", "P1")

    async def test_control_refuses(self) -> None:
        for status, told in ((400, 400), (503, 503), (401, 503), (500, 503)):
            self.answered = json_response(status, {"message": "no", "status": "failure"})
            with self.assertRaises(BadCall) as caught:
                await self.control.add_topic("T1", "P1")
            self.assertEqual((caught.exception.status, caught.exception.message), (told, "no"))

    async def test_an_answer_that_is_none(self) -> None:
        for answer in (Response(200, b"<html>"), Response(200, b"[1]")):
            self.answered = answer
            await self.control.add_topic("T1", "P1")
        self.answered = Response(200, b"x" * (control_http.MAX_ANSWER_BYTES + 1))
        with self.assertRaises(Away):
            await self.control.add_topic("T1", "P1")

    async def test_it_is_away(self) -> None:
        for address in ("http://127.0.0.1:1", "unix:/tmp/there-is-none"):
            with self.assertRaises(Away):
                await ControlHttp(address).add_topic("T1", "P1")

    async def test_it_is_slow(self) -> None:
        with mock.patch.object(control_http, "CONTROL_S", 0.0), self.assertRaises(Away):
            await self.control.add_topic("T1", "P1")

    async def test_nobody_said_where(self) -> None:
        with self.assertRaises(BadCall) as caught:
            await NoControl().add_topic("T1", "P1")
        self.assertEqual(caught.exception.status, 503)

    async def test_a_unix_socket(self) -> None:
        import asyncio

        path = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, path)
        service = Service(self.answer)
        server = await asyncio.get_running_loop().create_unix_server(service.protocol, f"{path}/loop.sock")
        self.addAsyncCleanup(self.close, service, server)
        await ControlHttp(f"unix:{path}/loop.sock").add_topic("T1", "P1")
        self.assertEqual(len(self.asked), 1)


class ReadAnswerTest(unittest.TestCase):
    def test_chunks_and_the_connection_s_end(self) -> None:
        body = b'{"message": "m"}'
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n%b\r\n0\r\n\r\n" % body
        self.assertEqual(read_answer(chunked), (200, "m"))
        self.assertEqual(read_answer(b"HTTP/1.1 400 Bad\r\n\r\n" + body), (400, "m"))

    def test_cut_off(self) -> None:
        for told in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"):
            with self.assertRaises(EOFError):
                read_answer(told)
        with self.assertRaises(HttpError):
            read_answer(b"SSH-2.0\r\n\r\n")


if __name__ == "__main__":
    unittest.main()
