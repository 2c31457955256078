"""Fetch sessions: KIP-227's rules."""

import unittest
from itertools import count
from typing import Any

from server.fetch_sessions import EVICTION_MS, FetchSessions
from wire.errors import ErrorCode
from wire.fetch_answers import FetchResult
from wire.fetch_requests import FetchedPartition, FetchedTopic, FetchRequest


def request(*partitions: int, session: tuple[int, int] = (0, -1), forgotten: Any = (), offset: int = 0) -> FetchRequest:
    asked = [FetchedTopic("t", [FetchedPartition(number, -1, offset, -1, -1, 1000) for number in partitions])]
    return FetchRequest(-1, -1, 500, 1, 1000, 0, *session, asked if partitions else [], list(forgotten), "", None)


class TestFetchSessions(unittest.TestCase):
    def setUp(self) -> None:
        self.sessions = FetchSessions(count(1).__next__, slots=2)

    def resolve(self, *partitions: int, now_ms: int = 0, uses_ids: bool = False, **more: Any) -> Any:
        return self.sessions.resolve(request(*partitions, **more), uses_ids, now_ms)

    def numbers(self, asked: Any) -> list[int]:
        return [wanted.asked.partition for wanted in asked.wanted]

    def test_without_a_session(self) -> None:
        asked = self.resolve(0, 1)
        self.assertEqual((self.numbers(asked), asked.session_id, asked.is_incremental), ([0, 1], 0, False))

    def test_changes_add_and_forget(self) -> None:
        first = self.resolve(0, 1, session=(0, 0))
        session_id = first.session_id
        asked = self.resolve(2, session=(session_id, 1), forgotten=[("t", (0,))])
        self.assertEqual((self.numbers(asked), asked.is_incremental), ([1, 2], True))
        asked = self.resolve(1, session=(session_id, 2), offset=9)
        self.assertEqual([wanted.asked.fetch_offset for wanted in asked.wanted], [9, 0])

    def test_what_is_wrong(self) -> None:
        session_id = self.resolve(0, session=(0, 0)).session_id
        for code, more in (
            (ErrorCode.INVALID_FETCH_SESSION_EPOCH, {"session": (session_id, 2)}),
            (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, {"session": (99, 1)}),
            (ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, {"session": (session_id, 1), "uses_ids": True}),
        ):
            self.assertEqual(self.resolve(**more).code, code)

    def test_a_final_request_ends_it(self) -> None:
        session_id = self.resolve(0, session=(0, 0)).session_id
        self.resolve(session=(session_id, -1))
        self.assertEqual(len(self.sessions), 0)

    def test_without_room_there_is_none_until_one_is_old(self) -> None:
        for _ in range(2):
            self.assertTrue(self.resolve(0, session=(0, 0)).session_id)
        self.assertFalse(self.resolve(0, session=(0, 0), now_ms=EVICTION_MS - 1).session_id)
        self.assertTrue(self.resolve(0, session=(0, 0), now_ms=EVICTION_MS).session_id)
        self.assertEqual(len(self.sessions), 2)

    def test_news(self) -> None:
        (wanted,) = self.resolve(0, session=(0, 0)).wanted
        self.assertTrue(wanted.is_news(FetchResult(0, 0, 5, 5, 0)))
        self.assertFalse(wanted.is_news(FetchResult(0, 0, 5, 5, 0)))
        self.assertTrue(wanted.is_news(FetchResult(0, 0, 6, 6, 0)))
        self.assertTrue(wanted.is_news(FetchResult(0, 0, 6, 6, 0, [b"x"])))
        self.assertTrue(wanted.is_news(FetchResult(0, 6)))
        self.assertTrue(wanted.is_news(FetchResult(0, 0, 6, 6, 0)), "an error that is over is news")

    def test_who_had_his_share_comes_last(self) -> None:
        first = self.resolve(0, 1, session=(0, 0))
        first.session.served(first.wanted[0])
        self.assertEqual(self.numbers(self.resolve(session=(first.session_id, 1))), [1, 0])


if __name__ == "__main__":
    unittest.main()
