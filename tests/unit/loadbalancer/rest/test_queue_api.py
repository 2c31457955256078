import unittest
from typing import Any

import structlog.testing
from support.fake_port import FakePort

from loadbalancer.guard import Guard
from loadbalancer.queue_calls import AddBroker, AddPartition, CheckBroker, RemoveBroker
from loadbalancer.rest.app import Options, create_app, options_from

PART = {"topic": "T1", "part": "P1"}
TOKEN = "s3cret-t0ken"


class Case(unittest.TestCase):
    options = Options(queue=True)

    def setUp(self) -> None:
        self.port = FakePort()
        self.client = create_app(self.port, self.options).test_client()
        self.enterContext(structlog.testing.capture_logs())

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        return self.client.open(path, method=method, headers=headers or {}, **more)

    def check_fault(self, response: Any, text: str) -> None:
        self.assertEqual((response.status_code, response.content_type), (400, "application/json"))
        self.assertEqual(response.json["status"], "failure")
        self.assertIn(text, response.json["message"])
        self.assertFalse(response.json["message"].startswith("<Error>"))


class Calls(Case):
    def test_brokers(self) -> None:
        self.assertEqual(
            self.call("GET", "/brokers").json, {"message": ["server1", "server2", "server3"], "status": "success"}
        )

    def test_they_are_submitted_and_waited_for_elsewhere(self) -> None:
        calls = [
            ("POST", "/topics/add", AddPartition("T1", "P1")),
            ("GET", "/brokers/add?broker_name=b1", AddBroker("b1")),
            ("GET", "/brokers/rm?broker_name=all", RemoveBroker("all")),
            ("GET", "/brokers/test?broker_name=server1", CheckBroker("server1")),
        ]
        for number, (method, path, call) in enumerate(calls, start=1):
            response = self.call(method, path, json=PART if method == "POST" else None)
            self.assertEqual(response.headers["X-Accel-Redirect"], f"/wait/call-{number}")
            self.assertEqual(self.port.called[-1], call)

    def test_faults_are_bare_reasons(self) -> None:
        self.check_fault(self.call("POST", "/topics/add", data="nonsense"), "the body is not JSON")
        self.check_fault(self.call("POST", "/topics/add", json={"topic": "T1"}), "part is missing")
        self.check_fault(self.call("POST", "/topics/add", json={**PART, "part": "a@b"}), "reserved")
        for action in ("add", "rm", "test"):
            self.check_fault(self.call("GET", f"/brokers/{action}"), "broker_name is missing")
        self.check_fault(self.call("GET", "/brokers/add?broker_name=a%20b"), "not of the form")
        self.assertEqual(self.port.called, [])

    def test_a_head_changes_nothing(self) -> None:
        response = self.call("HEAD", "/brokers/rm?broker_name=all")
        self.assertEqual((response.status_code, response.headers["Allow"]), (405, "GET"))
        self.assertEqual(self.port.called, [])

    def test_control_that_is_busy(self) -> None:
        self.port.is_busy = True
        response = self.call("POST", "/topics/add", json=PART)
        self.assertEqual((response.status_code, response.headers["Retry-After"]), (503, "1"))

    def test_the_document_has_exactly_these_routes_and_the_replicas(self) -> None:
        documented = self.call("GET", "/admin/openapi.json").json["paths"]
        app: Any = self.client.application
        made = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith(("/topics", "/brokers"))}
        self.assertEqual(made, {"/topics/add", "/brokers", "/brokers/<any(add, rm, test):action>"})
        self.assertLess(
            {"/topics/add", "/topics", "/brokers", "/brokers/add", "/brokers/rm", "/brokers/test", "/size",
             "/producer/register", "/producer/produce", "/consumer/register", "/consumer/consume"},
            {*documented},
        )  # fmt: skip


class NoQueue(Case):
    options = Options()

    def test_then_there_is_nothing(self) -> None:
        self.assertEqual(self.call("GET", "/brokers").status_code, 404)
        self.assertEqual(self.call("POST", "/topics/add", json=PART).status_code, 404)


class Callers(Case):
    def test_servers_are_the_operator_s(self) -> None:
        stranger = {"X-Real-IP": "10.0.0.9"}
        for action in ("add", "rm", "test"):
            self.assertEqual(self.call("GET", f"/brokers/{action}?broker_name=b1", stranger).status_code, 403)
        self.assertEqual(self.port.called, [])
        self.assertEqual(self.call("GET", "/brokers", stranger).status_code, 200)

    def test_a_web_page_does_nothing_by_a_picture(self) -> None:
        page = {"Sec-Fetch-Site": "cross-site"}
        self.assertEqual(self.call("GET", "/brokers/rm?broker_name=all", page).status_code, 403)
        self.assertEqual(self.call("POST", "/topics/add", page, json=PART).status_code, 403)
        self.assertEqual(self.call("POST", "/topics/add", {"Origin": "http://evil"}, json=PART).status_code, 403)
        self.assertEqual(self.port.called, [])

    def test_topics_are_any_client_s_by_any_name(self) -> None:
        stranger = {"X-Real-IP": "10.0.0.9", "Host": "loadbalancer:5000"}
        self.assertEqual(self.call("POST", "/topics/add", stranger, json=PART).status_code, 200)


class Token(Case):
    options = Options(Guard(token=TOKEN), queue=True)

    def test_servers_need_it_and_topics_do_not(self) -> None:
        response = self.call("GET", "/brokers/add?broker_name=b1")
        self.assertEqual((response.status_code, "WWW-Authenticate" in response.headers), (401, True))
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        self.assertEqual(self.call("GET", "/brokers/add?broker_name=b1", bearer).status_code, 200)
        self.assertEqual(self.call("POST", "/topics/add", json=PART).status_code, 200)


class FromSettings(unittest.TestCase):
    def test_whether_there_is_a_queue(self) -> None:
        kept = {"allowed_hosts": [], "admin_token": "", "runtime": "process"}
        self.assertFalse(options_from(kept).queue)
        self.assertTrue(options_from({**kept, "queue_http": True}).queue)


if __name__ == "__main__":
    unittest.main()
