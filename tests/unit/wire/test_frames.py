"""`wire.frames`: frames whole and in order however they are cut, views that nobody overwrites, little memory."""

import unittest
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from wire.frames import (
    BUFFER_SIZE,
    KEPT_RATIO,
    MAX_FRAME,
    MAX_FRAME_BEFORE_LOGIN,
    BufferPool,
    FrameError,
    FrameReader,
    read_head,
    read_response_head,
    request_frame,
    response_frame,
)
from wire.packing import tagged
from wire.primitives import WireError
from wire.versions import REQUEST_HEADERS

SMALL = 64  # bytes of a buffer, so that short frames show what long ones would


def framed(*frames: bytes) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def arrive(reader: FrameReader, data: bytes, most: int = 1 << 30) -> bytes:
    """What one read of a socket does: as much of `data` as fits is written, and told. Returns the rest."""
    buffer = reader.get_buffer()
    size = min(len(buffer), len(data), most)
    assert size > 0, "an empty buffer looks like the end of the connection"
    buffer[:size] = data[:size]
    buffer.release()
    reader.received(size)
    return data[size:]


def send(reader: FrameReader, data: bytes, most: int = 1 << 30) -> list[memoryview]:
    """All of `data` in reads of at most `most` bytes; the views of the frames that come of it."""
    found: list[memoryview] = []
    while data:
        data = arrive(reader, data, most)
        while (frame := reader.next()) is not None:
            found.append(frame)
    return found


def payload(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


class CutTest(unittest.TestCase):
    @settings(deadline=None)
    @given(st.lists(st.integers(10, 300), max_size=12), st.lists(st.integers(1, 200), min_size=1, max_size=5))
    def test_whole_and_in_order_and_never_overwritten(self, sizes: list[int], cuts: list[int]) -> None:
        """Every view is kept to the end and still has its frame's bytes then."""
        sent = [payload(size, seed) for seed, size in enumerate(sizes)]
        reader = FrameReader(BufferPool(SMALL, spare_size=8 * SMALL))
        data, views, turn = framed(*sent), list[memoryview](), 0
        while data:
            data = arrive(reader, data, cuts[turn % len(cuts)])
            while (frame := reader.next()) is not None:
                views.append(frame)
            turn += 1
        self.assertEqual([bytes(view) for view in views], sent)
        self.assertEqual(reader.unread_bytes, 0)

    @given(st.lists(st.integers(10, 100), min_size=1, max_size=6), st.integers(1, 40))
    def test_many_connections_share_one_pool(self, sizes: list[int], cut: int) -> None:
        pool = BufferPool(SMALL)
        readers = [FrameReader(pool) for _ in range(3)]
        sent = [[payload(size, seed + 10 * each) for seed, size in enumerate(sizes)] for each in range(3)]
        left = [framed(*one) for one in sent]
        found: list[list[bytes]] = [[], [], []]
        while any(left):
            for each, reader in enumerate(readers):
                if left[each]:
                    left[each] = arrive(reader, left[each], cut)
                    while (frame := reader.next()) is not None:
                        found[each].append(bytes(frame))
                        del frame
        self.assertEqual(found, sent)

    def test_frames_not_asked_for_wait_while_more_comes(self) -> None:
        sent = [payload(20, seed) for seed in range(9)]
        reader = FrameReader(BufferPool(SMALL))
        data = framed(*sent)
        while data:
            data = arrive(reader, data, 50)
        self.assertEqual(reader.unread_bytes, len(framed(*sent)))
        self.assertEqual([bytes(reader.next() or b"") for _ in sent], sent)
        self.assertIsNone(reader.next())
        self.assertIsNone(reader.next())


class LimitTest(unittest.TestCase):
    def test_lengths_out_of_bounds_are_refused_at_once(self) -> None:
        for size in (-1, 0, 9, MAX_FRAME + 1, 2**31 - 1, -(2**31)):
            reader = FrameReader(BufferPool())
            with self.assertRaises(FrameError):
                send(reader, size.to_bytes(4, "big", signed=True))

    def test_the_limit_grows_after_login(self) -> None:
        reader = FrameReader(BufferPool(), MAX_FRAME_BEFORE_LOGIN)
        self.assertEqual(len(send(reader, framed(bytes(MAX_FRAME_BEFORE_LOGIN)))), 1)
        with self.assertRaises(FrameError):
            send(reader, (MAX_FRAME_BEFORE_LOGIN + 1).to_bytes(4, "big"))
        reader = FrameReader(BufferPool(), MAX_FRAME_BEFORE_LOGIN)
        reader.limit = MAX_FRAME
        self.assertEqual(len(send(reader, framed(bytes(MAX_FRAME_BEFORE_LOGIN + 1)))), 1)

    def test_a_paused_reader_says_so_later(self) -> None:
        reader = FrameReader(BufferPool(SMALL))
        rest = arrive(reader, framed(payload(20)) + b"\xff\xff\xff\xff", 28)
        self.assertEqual(rest, b"")
        self.assertGreater(len(reader.get_buffer()), 0)
        self.assertIsNotNone(reader.next())
        self.assertRaises(FrameError, reader.next)


class MemoryTest(unittest.TestCase):
    def held(self, reader: FrameReader) -> int:
        buffer = reader._buffer  # pyright: ignore[reportPrivateUsage]
        return len(reader._rest) + (0 if buffer is None else len(buffer))  # pyright: ignore[reportPrivateUsage]

    def test_an_idle_connection_holds_nothing(self) -> None:
        reader = FrameReader(BufferPool())
        send(reader, framed(payload(1000)))
        self.assertEqual(self.held(reader), 0)
        send(reader, framed(payload(1000)) + b"\0\0")
        self.assertEqual(self.held(reader), 2)

    def test_a_slow_sender_holds_a_few_times_what_it_sent(self) -> None:
        """Whatever length it announced."""
        reader = FrameReader(BufferPool())
        sent = 4
        send(reader, MAX_FRAME.to_bytes(4, "big"))
        while sent < 8 * BUFFER_SIZE:
            send(reader, bytes(10_000))
            sent += 10_000
            self.assertLessEqual(self.held(reader), KEPT_RATIO * sent)

    def test_a_large_frame_is_copied_less_than_twice(self) -> None:
        """Growing doubles, so that all moves together copy less than the frame."""
        reader = FrameReader(BufferPool())
        (frame,) = send(reader, framed(payload(20 * BUFFER_SIZE)), 65_536)
        self.assertEqual(frame, payload(20 * BUFFER_SIZE))

    def test_the_grown_buffer_serves_the_next_frames(self) -> None:
        pool = BufferPool()
        reader = FrameReader(pool)
        size = 3 * BUFFER_SIZE
        del send(reader, framed(payload(size)))[:]
        buffer = pool.take()
        self.assertGreater(len(buffer), size)
        pool.give(buffer)
        (view,) = send(reader, framed(payload(size)))
        self.assertIs(view.obj, buffer)

    def test_pool_keeps_few_and_no_giants(self) -> None:
        pool = BufferPool(SMALL, spare=2, spare_size=2 * SMALL)
        buffers = [pool.take() for _ in range(3)]
        for buffer in (*buffers, bytearray(2 * SMALL + 1)):
            pool.give(buffer)
        self.assertEqual([pool.take() is one for one in reversed(buffers[:2])], [True, True])
        self.assertFalse(any(pool.take() is one for one in buffers))

    def test_a_buffer_of_which_a_view_is_held_is_not_used_again(self) -> None:
        pool = BufferPool(SMALL)
        reader = FrameReader(pool)
        (view,) = send(reader, framed(payload(20)))
        send(reader, framed(payload(40, 2)))
        self.assertEqual(view, payload(20))

    def test_closing_gives_the_buffer_back(self) -> None:
        pool = BufferPool(SMALL)
        reader = FrameReader(pool)
        buffer = reader.get_buffer().obj
        reader.close()
        reader.close()
        self.assertIs(pool.take(), buffer)
        self.assertEqual(reader.unread_bytes, 0)


class HeadTest(unittest.TestCase):
    def test_there_and_back_for_every_version(self) -> None:
        for key, version in REQUEST_HEADERS:
            for client_id in (None, "", "me", "日本"):
                frame = memoryview(request_frame(key, version, 77, client_id, b"body"))[4:]
                head = read_head(frame)
                self.assertEqual((head.api_key, head.version, head.correlation_id), (key, version, 77))
                self.assertEqual(head.client_id, client_id)
                assert head.at is not None
                self.assertEqual(frame[head.at :], b"body")

    def test_tagged_fields_are_skipped(self) -> None:
        frame = b"\0\x12\0\x03\0\0\0\x05\0\x02me\x02" + tagged(0, b"abc") + tagged(500, b"") + b"body"
        head = read_head(memoryview(frame))
        self.assertEqual((head.client_id, frame[head.at :]), ("me", b"body"))

    def test_of_an_api_or_version_not_served_the_first_fields_are_known(self) -> None:
        for start in (b"\0\x12\0\x63", b"\x03\xe7\0\0", b"\0\0\0\x02", b"\xff\xff\xff\xff"):
            head = read_head(memoryview(start + b"\0\0\0\x05\0\x99"))
            self.assertEqual((head.correlation_id, head.at), (5, None))

    def test_malformed_client_ids_are_shown_not_refused(self) -> None:
        head = read_head(memoryview(b"\0\x12\0\0\0\0\0\x05\0\x01\xff"))
        self.assertEqual(head.client_id, "\ufffd")

    def test_what_is_cut_is_refused(self) -> None:
        for raw in (b"\0\x04me", b"\xff\xfe", b"\x7f\xff", b"\0\x02me", b"\0\x02me\x01", b"\0\x02me\x01\0\x05"):
            with self.assertRaises(WireError, msg=raw):
                read_head(memoryview(b"\0\x12\0\x03\0\0\0\x05" + raw))

    @given(st.binary(min_size=10, max_size=40), st.sampled_from(sorted(REQUEST_HEADERS)))
    def test_any_bytes(self, data: bytes, served: tuple[int, int]) -> None:
        key, version = served
        for frame in (data, key.to_bytes(2, "big") + version.to_bytes(2, "big") + data[4:]):
            try:
                head = read_head(memoryview(frame))
            except WireError:
                continue
            self.assertTrue(head.at is None or 10 <= head.at <= len(frame))


class AnswerTest(unittest.TestCase):
    def test_there_and_back(self) -> None:
        for header_version in (0, 1):
            data = response_frame(-5, header_version, b"body")
            frame = memoryview(data)[4:]
            correlation_id, at = read_response_head(frame, header_version)
            self.assertEqual((correlation_id, frame[at:]), (-5, b"body"))
            self.assertEqual(int.from_bytes(data[:4], "big"), len(data) - 4)

    def test_tags_of_answers_are_skipped(self) -> None:
        frame = memoryview(b"\0\0\0\x07\x01" + tagged(3, b"abc") + b"body")
        self.assertEqual(read_response_head(frame, 1), (7, len(frame) - 4))
        self.assertRaises(WireError, read_response_head, memoryview(b"\0\0\0"), 0)
        self.assertRaises(WireError, read_response_head, memoryview(b"\0\0\0\0"), 1)
