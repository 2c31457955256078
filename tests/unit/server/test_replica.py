"""`server.replica`: the answers of the spec, and the counters."""

import json
import unittest

from server.replica import HOME_FORMAT, Gauges, Replica, server_id
from wire.exchange import Request, Response
from wire.http1 import parse_request


def ask(replica: Replica, path: str, method: str = "GET") -> Response:
    parsed = parse_request(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert parsed is not None
    response = replica.answer(Request(parsed[0], b"", "127.0.0.1"))
    assert isinstance(response, Response)
    return response


def replica(home_format: str = HOME_FORMAT) -> Replica:
    return Replica("server1", home_format, 1700000000.5, lambda: Gauges(2, 3, 4096, {400: 7}))


class Answers(unittest.TestCase):
    def test_home(self) -> None:
        response = ask(replica(), "/home?x=y")
        self.assertEqual((response.status, response.content_type), (200, "application/json"))
        self.assertEqual(response.body, b'{"message": "Hello from Server: server1", "status": "successful"}')

    def test_the_text_is_a_setting(self) -> None:
        for text, said in (("Hello from [{id}] {x}", "Hello from [server1] {x}"), ("{id}{id}", "server1server1")):
            self.assertEqual(json.loads(ask(replica(text), "/home").body)["message"], said)

    def test_heartbeat_is_empty(self) -> None:
        response = ask(replica(), "/heartbeat")
        self.assertEqual((response.status, response.body), (200, b""))

    def test_what_it_does_not_know_is_a_404(self) -> None:
        for path in ("/", "/other", "/home/", "/Home", "/heartbeat2", '/a"b'):
            response = ask(replica(), path)
            self.assertEqual(response.status, 404)
            self.assertIn(f"'{path}'", json.loads(response.body)["message"])

    def test_somebody_else_s_paths(self) -> None:
        whole, later = replica(), Response(200, b"later")
        whole.add_paths(lambda request: later if request.path == "/topics" else None)
        self.assertIs(ask(whole, "/topics"), later)
        self.assertEqual(ask(whole, "/other").status, 404)
        self.assertEqual(ask(whole, "/home").status, 200)

    def test_other_methods(self) -> None:
        for method in ("POST", "DELETE", "OPTIONS", "get"):
            response = ask(replica(), "/home", method)
            self.assertEqual((response.status, dict(response.headers)["Allow"]), (405, "GET, HEAD"))
            self.assertEqual(ask(replica(), "/other", method).status, 404)
        self.assertEqual(ask(replica(), "/home", "HEAD").status, 200)


class Metrics(unittest.TestCase):
    def test_requests_by_path_and_code(self) -> None:
        one = replica()
        for path in ("/home", "/home", "/x", "/y"):
            ask(one, path)
        ask(one, "/home", "POST")
        text = ask(one, "/metrics").body.decode()
        for line in (
            'carousel_replica_requests_total{path="/home",code="200"} 2',
            'carousel_replica_requests_total{path="/home",code="405"} 1',
            'carousel_replica_requests_total{path="other",code="404"} 2',
            'carousel_replica_requests_total{path="/metrics",code="200"} 1',
            'carousel_replica_refused_total{code="400"} 7',
            "carousel_replica_in_flight 2",
            "carousel_replica_connections 3",
            "process_start_time_seconds 1700000000.5",
            "process_resident_memory_bytes 4096",
        ):
            self.assertIn(line + "\n", text)
        self.assertTrue(text.endswith("\n"))

    def test_prometheus_s_own_parser_reads_them(self) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        one = replica()
        ask(one, "/home")
        families = {family.name for family in text_string_to_metric_families(one.metrics_text())}
        self.assertIn("carousel_replica_requests", families)
        self.assertEqual(len(families), 6)


class Identity(unittest.TestCase):
    def test_the_order(self) -> None:
        self.assertEqual(server_id({"SERVER_ID": "a", "ID": "b"}, "c"), "a")
        self.assertEqual(server_id({"SERVER_ID": "", "ID": "b"}, "c"), "b")
        self.assertEqual(server_id({}, "c"), "c")
