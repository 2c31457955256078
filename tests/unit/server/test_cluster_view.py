"""`server.cluster_view`: kept answers are bounded and of one image; who is reachable where."""

import unittest

from support.cluster_world import broker, image_of, small_image

from server.cluster_view import MAX_ANSWER_BYTES, MAX_ANSWERS, Answers, endpoint_of, endpoints


class AnswersTest(unittest.TestCase):
    def setUp(self) -> None:
        self.made: list[int] = []
        self.answers = Answers()
        self.image = small_image()

    def get(self, key: int, size: int = 1) -> bytes:
        def make() -> bytes:
            self.made.append(key)
            return bytes(size)

        return self.answers.get(self.image, key, make)

    def test_made_once_for_each_image(self) -> None:
        self.get(1), self.get(1)
        self.image = small_image()
        self.get(1)
        self.assertEqual(self.made, [1, 1])

    def test_a_flood_of_questions_is_not_kept(self) -> None:
        for key in range(MAX_ANSWERS + 1):
            self.get(key)
        self.get(0)
        self.assertEqual(self.made.count(0), 2)

    def test_nor_many_bytes(self) -> None:
        self.get(0, MAX_ANSWER_BYTES)
        self.get(1)
        self.get(0)
        self.assertEqual(self.made, [0, 1, 0])


class EndpointsTest(unittest.TestCase):
    def test_live_ones_of_the_listener(self) -> None:
        image = small_image()
        self.assertEqual([endpoint.node_id for endpoint in endpoints(image, "CLIENT")], [1, 2])
        self.assertEqual(endpoints(image, "EXTERNAL"), [])
        self.assertEqual(endpoint_of(image, 2, "CLIENT"), (2, "host-2", 9002, None))
        for node_id, listener in ((3, "CLIENT"), (9, "CLIENT"), (1, "EXTERNAL")):
            self.assertIsNone(endpoint_of(image, node_id, listener))

    def test_another_listener_for_one_server(self) -> None:
        image = image_of([broker(1).record(), broker(2, listeners={"EXTERNAL": ("door", 9)}).record()])
        self.assertEqual([endpoint.node_id for endpoint in endpoints(image, "EXTERNAL")], [2])
