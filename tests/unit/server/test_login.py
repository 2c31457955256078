"""The login on the internal listener: PLAIN with the cluster's secret, before anything else."""

import unittest

from server.login import ClusterLogin
from wire import messages
from wire.cluster_login import authenticate_request, handshake_request, refuses
from wire.frames import read_head, read_response_head, request_frame
from wire.primitives import WireError
from wire.versions import API_VERSIONS, METADATA, SASL_AUTHENTICATE, SASL_HANDSHAKE, response_header


class TestClusterLogin(unittest.TestCase):
    def ask(self, login: ClusterLogin, frame: bytes) -> memoryview:
        view = memoryview(frame)[4:]
        return memoryview(login.answer(read_head(view), view))[4:]

    def said(self, key: int, version: int, answer: memoryview) -> object:
        _, at = read_response_head(answer, response_header(key, version))
        return messages.decode_response(key, version, answer, at)

    def test_the_secret_opens(self) -> None:
        login = ClusterLogin("s")
        answer = self.ask(login, handshake_request(1, None))
        self.assertIsNone(refuses(self.said(SASL_HANDSHAKE, 1, answer)))
        self.assertFalse(login.is_done)
        answer = self.ask(login, authenticate_request(2, None, 7, "s"))
        self.assertIsNone(refuses(self.said(SASL_AUTHENTICATE, 2, answer)))
        self.assertEqual((login.is_done, login.node_id), (True, 7))

    def test_nothing_else_does(self) -> None:
        login = ClusterLogin("s")
        with self.assertRaises(WireError):
            self.ask(login, authenticate_request(2, None, 7, "s"))  # without agreeing on the mechanism
        self.ask(login, handshake_request(1, None))
        with self.assertRaises(WireError):
            self.ask(login, authenticate_request(2, None, 7, "wrong"))
        with self.assertRaises(WireError):
            self.ask(login, request_frame(METADATA, 0, 3, None, b"\0\0\0\0"))
        self.assertFalse(login.is_done)

    def test_versions_may_be_asked_before(self) -> None:
        self.assertTrue(self.ask(ClusterLogin("s"), request_frame(API_VERSIONS, 0, 1, None, b"")))


if __name__ == "__main__":
    unittest.main()
