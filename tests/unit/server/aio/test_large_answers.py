import asyncio
import unittest
from typing import Any, cast
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from server.aio.large_answers import PROBE, LargeAnswer
from wire.pieces import Piece, Unread


class Client:
    """A socket and a transport on it that take as many bytes as there is `room`; `got` is what has arrived."""

    def __init__(self) -> None:
        self.room = 0
        self.got = b""
        self.buffer = b""
        self.setsockopt = mock.Mock()

    def taken(self, data: bytes) -> int:
        count = min(self.room, len(data))
        self.room -= count
        self.got += data[:count]
        return count

    def write(self, data: bytes) -> None:
        self.buffer += data
        self.flush()

    def writelines(self, lines: list[bytes]) -> None:
        self.write(b"".join(lines))

    def flush(self) -> None:
        self.buffer = self.buffer[self.taken(self.buffer) :]

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def get_extra_info(self, name: str) -> "Client":
        assert name == "socket"
        return self

    def fileno(self) -> int:
        return -1


class InFile(Unread):
    def __init__(self, client: Client, data: bytes) -> None:
        self.client = client
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def send(self, socket: int) -> None:
        assert not self.client.buffer, "the transport's bytes come first"
        self.data = self.data[self.client.taken(self.data) :]

    def take(self, size: int) -> bytes:
        data, self.data = self.data[:size], self.data[size:]
        return data


def answer_of(client: Client, pieces: list[Piece]) -> LargeAnswer:
    return LargeAnswer(cast(asyncio.Transport, client), pieces)


class LargeAnswerTest(unittest.TestCase):
    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, 5).map(lambda n: n * PROBE // 2 + n)), max_size=6),
        st.lists(st.integers(0, 3 * PROBE), max_size=8),
    )
    def test_each_byte_goes_out_once_and_in_order_whatever_the_client_takes(
        self, shapes: list[tuple[bool, int]], rooms: list[int]
    ) -> None:
        client = Client()
        bytes_of = [bytes([at + 1]) * size for at, (_, size) in enumerate(shapes)]
        pieces: list[Any] = [
            InFile(client, data) if is_in_file else data for data, (is_in_file, _) in zip(bytes_of, shapes, strict=True)
        ]
        answer = answer_of(client, pieces)
        in_memory = sum(size for is_in_file, size in shapes if not is_in_file)
        for room in [0, *rooms, sum(map(len, bytes_of))]:
            client.room += room
            client.flush()
            if not client.buffer:
                answer.send()
            self.assertLessEqual(len(client.buffer), max(PROBE, in_memory))
            self.assertEqual(len(client.got) + len(client.buffer) + len(answer), sum(map(len, bytes_of)))
            self.assertTrue(client.buffer or not answer, "the transport is to tell when there is room")
        self.assertEqual(client.got, b"".join(bytes_of))

    def test_what_it_holds_in_memory(self) -> None:
        client = Client()
        self.assertEqual(answer_of(client, [b"head", InFile(client, b"records"), b"tail"]).in_memory, 8)

    def test_heads_and_records_travel_together_and_the_last_of_them_at_once(self) -> None:
        client = Client()
        broken = InFile(client, b"x")
        with mock.patch.object(broken, "send", side_effect=OSError), self.assertRaises(OSError):
            answer_of(client, [b"", broken]).send()
        self.assertEqual([call.args[2] for call in client.setsockopt.call_args_list], [1, 0])


if __name__ == "__main__":
    unittest.main()
