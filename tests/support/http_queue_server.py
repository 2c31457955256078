"""The plain HTTP interface (specs/queue-http-api.md) in memory, on a loopback port: a second implementation, for tests
of its clients. One server, no brokers' calls but the list.

`lose` makes so many of the next answers get lost after the call was carried out; `away` so many calls fail before.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from wire import http_queue


class QueueServer:
    def __init__(self, cluster: dict[str, Any] | None = None) -> None:
        self.topics: dict[str, dict[str, list[str]]] = {}
        self.producers: list[tuple[str, str]] = []
        self.consumers: list[dict[str, Any]] = []
        self.cluster = cluster
        self.lose = 0
        self.away = 0
        self.calls: list[str] = []
        queue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.answer(json.loads(body or b"{}"))

            def answer(self, body: dict[str, Any]) -> None:
                parts = urlsplit(self.path)
                told = body | {name: values[0] for name, values in parse_qs(parts.query).items()}
                queue.calls.append(f"{self.command} {parts.path}")
                if queue.away:
                    queue.away -= 1
                    self.reply(503, {"message": "nobody", "status": "failure"})
                    return
                status, answer = queue.carry_out(self.command, parts.path, told)
                if queue.lose:
                    queue.lose -= 1
                    self.close_connection = True
                    return
                self.reply(status, answer)

            def reply(self, status: int, answer: Any) -> None:
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def carry_out(self, method: str, path: str, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        topic, part = told.get("topic", ""), told.get("part")
        match method, path:
            case "GET", "/admin/cluster":
                return (200, self.cluster) if self.cluster is not None else (404, {})
            case "GET", "/topics":
                return good({name: dict.fromkeys(parts, "server1") for name, parts in self.topics.items()})
            case "GET", "/brokers":
                return good(["server1"])
            case "POST", "/topics/add":
                if part in self.topics.get(topic, {}):
                    return bad(http_queue.topic_exists(topic, str(part)))
                self.topics.setdefault(topic, {})[str(part)] = []
                return good(http_queue.topic_created(topic, str(part)))
            case "POST", "/producer/register":
                if part is not None:
                    self.topics.setdefault(topic, {}).setdefault(part, [])
                if topic not in self.topics:
                    return bad(http_queue.no_partitions(topic))
                self.producers.append((topic, part or "*"))
                return good(len(self.producers) - 1)
            case "POST", "/producer/produce":
                topic, part = self.producers[int(told["producer_id"])]
                part = next(iter(self.topics[topic])) if part == "*" else part
                self.topics[topic][part].append(told["message"])
                return good(http_queue.produced(topic, part))
            case "POST", "/consumer/register":
                return self._register_consumer(topic, part)
            case "GET", "/consumer/consume":
                return self._consume(self.consumers[int(told["consumer_id"])], told)
            case "GET", "/size":
                consumer = self.consumers[int(told["consumer_id"])]
                left = (len(self.topics[consumer["topic"]][part]) - at for part, at in consumer["at"].items())
                return good(sum(left))
            case _:
                return 404, {}

    def _register_consumer(self, topic: str, part: str | None) -> tuple[int, dict[str, Any]]:
        if topic not in self.topics or part not in (None, *self.topics[topic]):
            return bad(http_queue.can_not_register(topic, part))
        parts = self.topics[topic] if part is None else {part: self.topics[topic][part]}
        at = {name: len(messages) for name, messages in parts.items()}
        self.consumers.append({"topic": topic, "part": part or "*", "at": at, "given": None})
        return good(len(self.consumers) - 1)

    def _consume(self, consumer: dict[str, Any], told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        ack = int(told["ack"]) if "ack" in told else None
        if ack is not None and consumer["given"] is not None and consumer["given"][1] == ack:
            consumer["at"][consumer["given"][0]] = ack + 1
        consumer["given"] = None
        for part, at in consumer["at"].items():
            messages = self.topics[consumer["topic"]][part]
            if at < len(messages):
                if ack is None:
                    consumer["at"][part] = at + 1
                else:
                    consumer["given"] = (part, at)
                place = http_queue.topic_and_part(consumer["topic"], part)
                return 200, {"message": messages[at], "topic": place, "offset": at, "status": "success"}
        words = http_queue.empty_logs(self.consumers.index(consumer), consumer["topic"], consumer["part"])
        return 400, {"message": words, "topic": consumer["topic"], "status": "failure"}


def good(message: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"message": message, "status": "success"}


def bad(message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"message": message, "status": "failure"}
