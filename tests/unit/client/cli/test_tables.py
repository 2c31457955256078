import io
import unittest
from typing import Any

from rich.console import Console

from client.cli import tables
from client.values import Message

LAG = {"group": "billing", "topic": "orders", "partition": 11, "committed": None, "end": 123456, "lag": 123456}


def drawn(what: Any, colours: bool = False) -> str:
    console = Console(file=io.StringIO(), width=1000, force_terminal=colours)
    console.print(what, soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined]


class TablesTest(unittest.TestCase):
    def test_each_fits_eighty_columns_and_shows_what_there_is(self) -> None:
        partition = {"partition": 0, "leader": 3, "replicas": [3, 1, 2], "isr": [3, 1, 2], "first": 0, "next": 123456}
        topic = {"topic": "orders", "partitions": 12, "replicas": 3, "messages": 123456, "internal": False}
        configs = {"retention.ms": {"value": "5", "default": False}, "x": {"value": "1", "default": True}}
        described = {"topic": "orders", "messages": 1, "partitions": [partition], "configs": configs}
        member = {
            "member": "carousel-4711",
            "client": "carousel",
            "host": "/127.0.0.1",
            "reads": ["orders:0", "orders:1"],
        }
        group = {"group": "billing", "state": "stable", "lag": 7, "members": [member], "partitions": [LAG]}
        move = {"topic": "orders", "partition": 0, "committed": 7, "next": 0}
        for what, words in (
            (tables.topics_table([topic]), ("orders", "12", "123456", "1 topic")),
            (tables.topic_table(described), ("orders: 1 partition, 1 message", "3,1,2", "retention.ms=5")),
            (tables.groups_table([{**group, "members": 1}]), ("billing", "stable", "1 group")),
            (tables.group_table(group), ("billing: stable, 1 member, lag 7", "orders:0,orders:1", "/127.0.0.1")),
            (tables.group_table({**group, "members": []}), ("billing: stable, 0 members",)),
            (tables.lag_table([LAG]), ("123456", "-", "lag 123456 together")),
            (tables.reset_table([move]), ("committed", "next", "7")),
        ):
            text = drawn(what)
            self.assertLessEqual(max(map(len, text.splitlines())), 80)
            for word in words:
                self.assertIn(word, text)
        self.assertNotIn("x=1", drawn(tables.topic_table(described)))

    def test_what_looks_like_markup_is_none(self) -> None:
        self.assertIn("[red]", drawn(tables.lag_table([{**LAG, "group": "[red]"}])))


class TailTest(unittest.TestCase):
    message = Message("T1", 1, 7, b"key", b"a\tb\xff\xc3\xa4[red]", (("h", b"1"),), 1_700_000_000_123)

    def test_one_line_whatever_is_in_it(self) -> None:
        line = drawn(tables.tail_line(self.message, (1970, 1, 1), False))
        self.assertRegex(line, r"^2023-11-1\d \d\d:\d\d:20\.123  1@7  key  a\\tb\\xffä\[red\]  \[h=1\]\n$")

    def test_a_topic_is_named_among_several_and_null_is_shown(self) -> None:
        message = Message("T1", 0, 8, None, None, (), -1)
        self.assertEqual(drawn(tables.tail_line(message, (1970, 1, 1), True)), "-  T1:0@8  null\n")

    def test_colours_where_somebody_looks(self) -> None:
        self.assertIn("\x1b[", drawn(tables.tail_line(self.message, (1970, 1, 1), False), colours=True))

    def test_words(self) -> None:
        self.assertEqual((tables.counted(1, "line"), tables.counted(2, "line")), ("1 line", "2 lines"))
        self.assertEqual(tables.settings_line({"a": "1", "b": None}), "a=1, b is its default again")


if __name__ == "__main__":
    unittest.main()
