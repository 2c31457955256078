"""A follower's Fetch, read back by the reader that leaders have."""

import unittest

from wire.fetch_requests import read_fetch
from wire.follower_fetches import Follow, Session, follower_fetch
from wire.frames import read_head


class TestFollowerFetch(unittest.TestCase):
    def test_is_read_as_it_was_meant(self) -> None:
        one, two = bytes(range(16)), bytes(range(1, 17))
        wanted = [
            Follow(one, 0, 3, 10, 2, 1, 9, 100),
            Follow(one, 5, 3, 11, 3, 0, 11, 100),
            Follow(two, 0, 1, 0, -1, 0, 0, 7),
        ]
        frame = follower_fetch(9, 4, 77, Session(5, 6), wanted, {two: [3, 4]}, max_wait_ms=500, max_bytes=1000)
        view = memoryview(frame)[4:]
        head = read_head(view)
        self.assertEqual((head.correlation_id, head.client_id), (9, "node-4"))
        assert head.at is not None
        request = read_fetch(head.version, view, head.at)
        self.assertEqual((request.replica_id, request.replica_epoch), (4, 77))
        self.assertEqual((request.session_id, request.session_epoch, request.max_wait_ms), (5, 6, 500))
        found = [(topic, *one[:5], one.synced_end, one.max_bytes) for topic, many in request.topics for one in many]
        self.assertEqual(found, [tuple(one) for one in wanted])
        self.assertEqual(request.forgotten, [(two, (3, 4))])


if __name__ == "__main__":
    unittest.main()
