"""`wire.cluster_login`: who knows the secret is let in under its own name, nobody else."""

import unittest

from wire import messages
from wire.cluster_login import authenticate_request, authenticated_node, handshake_request, refuses
from wire.frames import read_head


class LoginTest(unittest.TestCase):
    def test_requests(self) -> None:
        for frame, name in (
            (handshake_request(1, "node-3"), "mechanism"),
            (authenticate_request(2, None, 3, "s"), "auth_bytes"),
        ):
            view = memoryview(frame)[4:]
            head = read_head(view)
            assert head.at is not None
            message = messages.decode(head.api_key, head.version, view, head.at)
            self.assertEqual(getattr(message, name), {"mechanism": "PLAIN", "auth_bytes": b"\0node-3\0s"}[name])

    def test_who_is_let_in(self) -> None:
        self.assertEqual(authenticated_node(b"\0node-12\0secret", "secret"), 12)
        for wrong in (
            b"", b"\0node-1\0Secret", b"\0node-1\0", b"\0node-\0secret", b"\0admin\0secret", b"\0node-1\0secret\0",
            "\0node-²\0secret".encode(), b"\0node--1\0secret", b"node-1\0secret", b"\0node-1 \0secret",
        ):  # fmt: skip
            self.assertIsNone(authenticated_node(wrong, "secret"), wrong)

    def test_refusals(self) -> None:
        self.assertIsNone(refuses(messages.build(17, 1, {"error_code": 0, "mechanisms": ["PLAIN"]})))
        self.assertEqual(refuses(messages.build(17, 1, {"error_code": 33, "mechanisms": ["PLAIN"]})), "error 33")
        values = {"error_code": 58, "error_message": "no", "auth_bytes": b""}
        self.assertEqual(refuses(messages.build(36, 2, values)), "no")
