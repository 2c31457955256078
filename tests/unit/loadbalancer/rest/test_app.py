import io
import json
import unittest
from typing import Any

import structlog.testing
from support.fake_port import FakePort

from loadbalancer.guard import Guard
from loadbalancer.requests import FORM, MAX_BODY_BYTES, Add, Drain, Recover, Remove, SetWeight, Undrain
from loadbalancer.rest.app import MAX_STREAMS, Options, create_app, options_from

TOKEN = "s3cret-t0ken"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
STREAM = {"Accept": "text/event-stream"}


class AppTest(unittest.TestCase):
    options = Options()

    def setUp(self) -> None:
        self.port = FakePort()
        self.client = create_app(self.port, self.options).test_client()
        self.log = self.enterContext(structlog.testing.capture_logs())

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        return self.client.open(path, method=method, headers=headers or {}, **more)

    def check_failure(self, response: Any, status: int, text: str = "") -> None:
        self.assertEqual(status, response.status_code, response.data)
        self.assertEqual("application/json", response.content_type)
        self.assertEqual({"message", "status"}, set(response.json))
        self.assertEqual("failure", response.json["status"])
        self.assertTrue(response.json["message"].startswith("<Error> "), response.json)
        self.assertIn(text, response.json["message"])

    def submitted(self) -> list[Any]:
        return [command for command, _ in self.port.submitted]


class ReadTest(AppTest):
    def test_rep(self) -> None:
        response = self.call("GET", "/rep")
        listed = {"N": 3, "replicas": ["server1", "server2", "server3"]}
        self.assertEqual({"message": listed, "status": "successful"}, response.json)
        self.assertEqual("application/json", response.content_type)

    def test_cluster_and_metrics_are_the_port_s(self) -> None:
        self.assertEqual(self.port.cluster(), self.call("GET", "/admin/cluster").json)
        response = self.call("GET", "/metrics")
        self.assertEqual(self.port.metrics(), response.data)
        self.assertTrue(response.content_type.startswith("text/plain; version=0.0.4"))

    def test_events_since(self) -> None:
        self.port.kept_events = [{"id": i, "kind": "dead"} for i in (1, 2, 3)]
        self.assertEqual([2, 3], [event["id"] for event in self.call("GET", "/admin/events?since=1").json])
        self.assertEqual(3, len(self.call("GET", "/admin/events").json))
        self.check_failure(self.call("GET", "/admin/events?since=x"), 400, "since")

    def test_head_is_answered_without_a_body(self) -> None:
        for path in ("/rep", "/admin/cluster", "/admin/events", "/metrics"):
            response = self.call("HEAD", path)
            self.assertEqual((200, b""), (response.status_code, response.data))

    def test_no_answer_is_kept_or_sniffed(self) -> None:
        headers = self.call("GET", "/rep").headers
        self.assertEqual(("no-store", "nosniff"), (headers["Cache-Control"], headers["X-Content-Type-Options"]))

    def test_the_document_has_exactly_the_routes(self) -> None:
        documented = self.call("GET", "/admin/openapi.json").json["paths"]
        rules = {rule.rule for rule in self.client.application.url_map.iter_rules()}
        made = {
            rule.replace("<any(live, ready):word>", word).replace("<any(drain, undrain, weight):action>", action)
            for rule in rules
            for word in ("live", "ready")
            for action in ("drain", "undrain", "weight")
        }
        self.assertEqual({path.replace("{name}", "<name>") for path in documented}, made)


class StreamTest(AppTest):
    def test_a_stream_is_handed_to_the_data_path(self) -> None:
        response = self.call("GET", "/admin/events?since=5", STREAM)
        self.assertEqual(200, response.status_code)
        self.assertEqual("/stream?since=5", response.headers["X-Accel-Redirect"])
        self.assertEqual(b"", response.data)

    def test_a_browser_resumes_where_it_broke_off(self) -> None:
        response = self.call("GET", "/admin/events", {**STREAM, "Last-Event-ID": "9"})
        self.assertEqual("/stream?since=9", response.headers["X-Accel-Redirect"])
        self.check_failure(self.call("GET", "/admin/events", {**STREAM, "Last-Event-ID": "a b"}), 400)

    def test_who_takes_anything_gets_json(self) -> None:
        for accept in ("*/*", "application/json", "text/html, */*;q=0.8"):
            self.assertEqual([], self.call("GET", "/admin/events", {"Accept": accept}).json)

    def test_one_more_than_32_is_refused(self) -> None:
        self.port.streams = MAX_STREAMS - 1
        self.assertEqual(200, self.call("GET", "/admin/events", STREAM).status_code)
        self.port.streams = MAX_STREAMS
        response = self.call("GET", "/admin/events", STREAM)
        self.check_failure(response, 503, "32 event streams")
        self.assertIn("Retry-After", response.headers)

    def test_head_opens_none(self) -> None:
        response = self.call("HEAD", "/admin/events", STREAM)
        self.assertNotIn("X-Accel-Redirect", response.headers)


class ChangeTest(AppTest):
    def test_add_is_submitted_and_waited_for_elsewhere(self) -> None:
        response = self.call("POST", "/add", json={"n": 2, "hostnames": ["S5"]})
        self.assertEqual((200, b""), (response.status_code, response.data))
        self.assertEqual("/wait/ticket-1", response.headers["X-Accel-Redirect"])
        self.assertEqual([Add(2, ("S5",))], self.submitted())

    def test_rm_by_delete_and_by_post(self) -> None:
        self.call("DELETE", "/rm", json={"n": 1})
        self.call("POST", "/rm", data={"server_id": "server2"})
        self.assertEqual([Remove(1), Remove(1, ("server2",))], self.submitted())

    def test_a_bad_body_is_refused_and_nothing_submitted(self) -> None:
        self.check_failure(self.call("POST", "/add", data="{"), 400, "not JSON")
        self.check_failure(self.call("DELETE", "/rm", json={"n": 1, "hostnames": ["a", "b"]}), 400, "removable")
        self.assertEqual([], self.submitted())

    def test_drain_undrain_weight(self) -> None:
        for action, body in (("drain", None), ("undrain", None), ("weight", {"weight": 2})):
            self.call("POST", f"/admin/replicas/server1/{action}", json=body)
        self.assertEqual([Drain("server1"), Undrain("server1"), SetWeight("server1", 2)], self.submitted())

    def test_recover_names_who_is_not_waited_for(self) -> None:
        self.call("POST", "/admin/recover", json={"absent": [3, 2]})
        self.call("POST", "/admin/recover", json={})
        self.assertEqual([Recover(frozenset({2, 3})), Recover()], self.submitted())
        self.check_failure(self.call("POST", "/admin/recover", json={"absent": ["server1"]}), 400, "node ids")

    def test_what_can_t_be_a_name_is_not_found(self) -> None:
        self.check_failure(self.call("POST", "/admin/replicas/a%20b/drain"), 404, "'a b'")
        self.check_failure(self.call("POST", "/admin/replicas/server1/explode"), 404)
        self.assertEqual([], self.submitted())

    def test_the_request_id_goes_with_the_command(self) -> None:
        self.call("POST", "/add", {"X-Request-Id": "req-1"}, json={"n": 1})
        self.assertEqual("req-1", self.port.submitted[0][1])

    def test_a_busy_control_says_when_to_come_again(self) -> None:
        self.port.is_busy = True
        response = self.call("POST", "/add", json={"n": 1})
        self.check_failure(response, 503, "under way")
        self.assertEqual("1", response.headers["Retry-After"])


class FaultTest(AppTest):
    def test_everything_is_503_until_control_is_ready(self) -> None:
        self.port.is_ready = False
        for method, path in (("GET", "/rep"), ("POST", "/add"), ("GET", "/metrics"), ("GET", "/nowhere")):
            response = self.call(method, path)
            self.check_failure(response, 503, "starting")
            self.assertEqual("1", response.headers["Retry-After"])

    def test_unknown_paths_are_404_in_json(self) -> None:
        for path in ("/nowhere", "/rep/", "//rep", "/admin", "/admin/", "/admin/replicas/a%2Fb/drain", "/static/x"):
            with self.subTest(path=path):
                self.check_failure(self.call("GET", path), 404)

    def test_wrong_methods_are_405_with_allow(self) -> None:
        response = self.call("GET", "/add")
        self.check_failure(response, 405)
        self.assertEqual("POST", response.headers["Allow"])
        for method in ("OPTIONS", "PUT", "TRACE", "PATCH", "odd"):
            self.check_failure(self.call(method, "/rep"), 405)

    def test_a_large_body_is_413(self) -> None:
        self.check_failure(self.call("POST", "/add", data=b" " * (MAX_BODY_BYTES + 1)), 413)
        largest = json.dumps({"n": 1}).encode().ljust(MAX_BODY_BYTES)
        self.assertEqual(200, self.call("POST", "/add", data=largest).status_code)

    def test_a_chunked_body_is_measured_too(self) -> None:
        """As gunicorn hands it over: no length, and an input that ends by itself."""
        whole = b"n=1&x=".ljust(MAX_BODY_BYTES, b"x")
        self.assertEqual(200, self.send_stream(whole, CHUNKED).status_code)
        self.check_failure(self.send_stream(whole + b"x", CHUNKED), 413)
        self.check_failure(self.send_stream(whole * 3, CHUNKED), 413)

    def test_a_body_that_ends_early_is_not_obeyed(self) -> None:
        self.check_failure(self.send_stream(b"n=1", {"CONTENT_LENGTH": "4"}), 400)
        self.assertEqual([], self.submitted())

    def send_stream(self, body: bytes, environ: dict[str, str]) -> Any:
        stream = {"wsgi.input_terminated": True, "wsgi.input": io.BytesIO(body)}
        return self.client.post("/add", content_type=FORM, environ_overrides={**stream, **environ})

    def test_an_unforeseen_fault_is_logged_and_not_told(self) -> None:
        self.port.fault = RuntimeError("the secret of the house")
        response = self.call("GET", "/rep", {"X-Request-Id": "req-7"})
        self.check_failure(response, 500)
        self.assertNotIn(b"secret", response.data)
        self.assertEqual("req-7", response.headers["X-Request-Id"])
        self.assertEqual(["request failed"], [line["event"] for line in self.log])
        self.assertIs(self.port.fault, self.log[0]["exc_info"])

    def test_names_are_quoted_short_and_escaped(self) -> None:
        response = self.call("POST", "/add", json={"n": 1, "hostnames": ['<b>"\ud800' + "x" * 9999]})
        self.check_failure(response, 400)
        self.assertLess(len(response.data), 400)
        self.assertTrue(response.data.isascii())


class RequestIdTest(AppTest):
    def test_it_comes_back(self) -> None:
        response = self.call("GET", "/rep", {"X-Request-Id": "abc-123"})
        self.assertEqual("abc-123", response.headers["X-Request-Id"])

    def test_a_bad_or_missing_one_is_replaced(self) -> None:
        for given in ("", "a b", "x" * 129, "\xe9"):
            made = self.call("GET", "/rep", {"X-Request-Id": given}).headers["X-Request-Id"]
            self.assertRegex(made, r"\A[0-9a-f]{16}\Z")

    def test_it_is_on_the_log_lines_of_its_request_only(self) -> None:
        merged: list[dict[str, Any]] = []

        def merge(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
            merged.append(structlog.contextvars.merge_contextvars(logger, method, dict(line)))
            raise structlog.DropEvent

        with structlog.testing.capture_logs(processors=[merge]):
            self.call("POST", "/add", {"X-Request-Id": "one"}, json={"n": 1})
            self.call("POST", "/add", {"X-Request-Id": "two"}, json={"n": 1})
        self.assertEqual(["one", "two"], [line["request_id"] for line in merged])


class GuardTest(AppTest):
    options = Options(Guard(frozenset(("door.example",)), TOKEN))

    def test_reads_need_nothing(self) -> None:
        response = self.call("GET", "/rep", {"Origin": "http://evil.example", "Host": "evil.example"})
        self.assertEqual(200, response.status_code)

    def test_every_change_needs_the_token(self) -> None:
        changes = [
            ("POST", "/add"), ("POST", "/rm"), ("DELETE", "/rm"), ("POST", "/admin/replicas/server1/drain"),
            ("POST", "/admin/replicas/server1/undrain"), ("POST", "/admin/replicas/server1/weight"),
        ]  # fmt: skip
        for method, path in changes:
            with self.subTest(path=path):
                response = self.call(method, path, json={"n": 1})
                self.check_failure(response, 401)
                self.assertEqual('Bearer realm="carousel"', response.headers["WWW-Authenticate"])
        self.assertEqual([], self.submitted())
        self.assertEqual(200, self.call("POST", "/add", BEARER, json={"n": 1}).status_code)

    def test_foreign_pages_and_hosts_are_refused(self) -> None:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "same-site"},
            {"Host": "evil.example", "Origin": "http://evil.example"},
        ):
            with self.subTest(headers=headers):
                response = self.call("POST", "/add", {**BEARER, **headers}, data={"server_id": "S9"})
                self.check_failure(response, 403)
        self.assertEqual([], self.submitted())

    def test_no_secret_is_logged_or_told(self) -> None:
        wrong = self.call("POST", "/add", {"Authorization": "Bearer wr0ng-one"}, json={"n": 1})
        self.call("POST", "/add", BEARER, json={"n": 1})
        self.port.fault = RuntimeError("no")
        self.call("GET", "/rep", BEARER)
        told = repr(self.log) + wrong.text
        self.assertNotIn(TOKEN, told)
        self.assertNotIn("wr0ng", told)


class LocalTest(AppTest):
    def test_changes_are_taken_from_this_machine_only(self) -> None:
        self.check_failure(self.call("POST", "/add", {"X-Real-IP": "10.0.0.9"}, json={"n": 1}), 403, "this machine")
        self.assertEqual(200, self.call("POST", "/add", {"X-Real-IP": "127.0.0.1"}, json={"n": 1}).status_code)
        behind = {"X-Real-IP": "127.0.0.1", "X-Peer-IP": "10.0.0.9"}
        self.check_failure(self.call("POST", "/add", behind, json={"n": 1}), 403, "this machine")
        self.assertEqual(200, self.call("POST", "/add", json={"n": 1}).status_code)


class BackendsTest(AppTest):
    options = Options(backends=True)

    def test_names_are_addresses(self) -> None:
        self.call("POST", "/add", json={"n": 1, "hostnames": ["127.0.0.1:81"]})
        self.call("POST", "/admin/replicas/127.0.0.1:81/drain")
        self.call("POST", "/admin/replicas/[::1]:81/drain")
        self.assertEqual([Add(1, ("127.0.0.1:81",)), Drain("127.0.0.1:81"), Drain("[::1]:81")], self.submitted())


class OptionsTest(unittest.TestCase):
    def test_they_come_from_the_settings(self) -> None:
        options = options_from({"allowed_hosts": ["door.example"], "admin_token": TOKEN, "runtime": "static"})
        self.assertIn("door.example", options.guard.hosts)
        self.assertEqual((TOKEN, True), (options.guard.token, options.backends))
        self.assertNotIn(TOKEN, repr(options))


if __name__ == "__main__":
    unittest.main()
