import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.forwarding import ID_LIMIT_BYTES, request_to_replica, settle_id
from loadbalancer.known_head import LIMIT_BYTES, KnownHead, known_head
from loadbalancer.retry import REPLAY_LIMIT_BYTES
from wire.http1 import HttpError, parse_request

GET = b"GET /home HTTP/1.1\r\nHost: door\r\nX-Request-Id: first\r\nAccept: */*\r\n\r\n"
PLAIN = b"GET /home HTTP/1.1\r\nHost: door\r\nAccept: */*\r\n\r\n"
POST = b"POST /home HTTP/1.1\r\nHost: door\r\nX-Request-Id: first\r\nContent-Length: 4\r\n\r\n"
FRESH = b"made-here"

IDS = st.from_regex(rb"[!-~]{1,40}", fullmatch=True)


def known_of(raw: bytes) -> KnownHead | None:
    """As the door does it for a head that came."""
    parsed = parse_request(raw)
    assert parsed is not None
    head, end = parsed
    request_id, given_ = settle_id(head, FRESH)
    kept = request_to_replica(head, request_id, given_, b"replica")
    return known_head(head, raw[:end], kept, b"1.2.3.4", 7)


def read_anew(data: bytes) -> tuple[bytes, bytes]:
    """(the id, what the replica gets) by the long way."""
    parsed = parse_request(data)
    assert parsed is not None
    head, end = parsed
    request_id, given_ = settle_id(head, FRESH)
    return request_id, request_to_replica(head, request_id, given_, b"replica") + data[end:]


class KnownHeadTest(unittest.TestCase):
    def recognised(self, known: KnownHead | None, data: bytes) -> tuple[bytes, bytes] | None:
        assert known is not None
        request_id = known.id_in(data)
        if request_id is None:
            return None
        request_id = request_id or FRESH
        return request_id, known.to_replica(request_id, data)

    def test_the_same_head_with_another_id_is_recognised(self) -> None:
        again = GET.replace(b"first", b"second-one")
        self.assertEqual(self.recognised(known_of(GET), again), read_anew(again))

    def test_a_head_without_an_id_is_given_a_new_one(self) -> None:
        self.assertEqual(self.recognised(known_of(PLAIN), PLAIN), read_anew(PLAIN))

    def test_a_body_of_the_same_length_comes_along(self) -> None:
        again = POST.replace(b"first", b"2") + b"body"
        self.assertEqual(self.recognised(known_of(POST), again), read_anew(again))

    def test_only_one_whole_request_is_recognised(self) -> None:
        for raw, body in ((GET, b""), (PLAIN, b""), (POST, b"body")):
            known = known_of(raw)
            whole = raw + body
            self.assertIsNotNone(self.recognised(known, whole))
            for data in (*(whole[:end] for end in range(len(whole))), whole + b"x", whole + whole):
                self.assertIsNone(self.recognised(known, data), data)

    def test_another_head_is_not(self) -> None:
        for other in (b"GET /other", b"get /home", b"GET /home?x"):
            self.assertIsNone(self.recognised(known_of(GET), GET.replace(b"GET /home", other)))

    def test_an_id_that_hides_something_is_not(self) -> None:
        for bad in (b"", b"a b", b"a\r\nHost: evil", b"a\tb", b"\xff", b"x" * (ID_LIMIT_BYTES + 1), b"a\r\n\r\nGET / "):
            self.assertIsNone(self.recognised(known_of(GET), GET.replace(b"first", bad)), bad)

    def test_what_says_more_than_itself_is_not_remembered(self) -> None:
        for line in (
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue\r\nContent-Length: 4",
            b"Content-Length: %d" % (REPLAY_LIMIT_BYTES + 1),
            b"Connection: upgrade\r\nUpgrade: websocket",
            b"X-Long: " + b"x" * LIMIT_BYTES,
        ):
            self.assertIsNone(known_of(PLAIN.replace(b"Accept: */*", line)), line)

    def test_a_head_whose_id_was_not_taken_is_not_remembered(self) -> None:
        self.assertIsNone(known_of(GET.replace(b"first", b"not an id")))

    @given(st.sampled_from((GET, PLAIN, POST)), IDS, st.binary(max_size=8))
    def test_law_whatever_is_recognised_reads_the_same_anew(self, raw: bytes, id_: bytes, noise: bytes) -> None:
        body = b"body" if raw is POST else b""
        known = known_of(raw)
        for data in (raw.replace(b"first", id_) + body, raw.replace(b"first", id_ + noise) + body):
            found = self.recognised(known, data)
            if found is not None:
                self.assertEqual(found, read_anew(data))

    @given(st.data())
    def test_law_nothing_that_is_refused_is_recognised(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(GET)))
        mutant = GET[:at] + data.draw(st.binary(max_size=4)) + GET[data.draw(st.integers(at, min(at + 4, len(GET)))) :]
        try:
            parsed = parse_request(mutant)
        except HttpError:
            parsed = None
        if parsed is None or parsed[1] != len(mutant):
            self.assertIsNone(self.recognised(known_of(GET), mutant))
