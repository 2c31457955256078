"""What replicas may answer, and what a client must make of it, whoever wrote that client.

Each case is the answer to the first of two requests that one client pipelines; the second is answered honestly. So an
answer that is one byte too long or too short for its client, or for the front door, shows in what the second becomes.
`POISON` is what a split response would put into somebody else's hands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from support.answer_readers import Told

POISON: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
HONEST: Final = Told(200, b"second")
CHUNKED: Final = b"Transfer-Encoding: chunked"
HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """`said`: the pieces that the replica sends, one after the other, before it closes (`closes`) or waits. `told`:
    what every client reads; a 502's body is not compared. `cut`: the connection is reset then. `reused`: whether the
    replica's connection carries the second request. `interim`: statuses of 1xx that the client is sent. `gone`: bytes,
    in lower case, that were in the answer's head and are not in what the client gets."""

    name: str
    said: tuple[bytes, ...]
    told: tuple[Told, ...]
    method: bytes = b"GET"
    minor: int = 1
    closes: bool = False
    cut: bool = False
    reused: bool = False
    interim: tuple[int, ...] = ()
    gone: tuple[bytes, ...] = ()


def answer(*lines: bytes, body: bytes = b"", start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"".join(line + b"\r\n" for line in (start, *lines)) + b"\r\n" + body


def passed(name: str, said: bytes, body: bytes = b"", status: int = 200, **more: Any) -> Case:
    """The client gets it, and the connection is good for the next."""
    return Case(name, (said,), (Told(status, body), HONEST), **{"reused": True, **more})


def spoiled(name: str, said: bytes, body: bytes = b"", status: int = 200, **more: Any) -> Case:
    """The client gets it, and the replica's connection is not used again."""
    return passed(name, said, body, status, reused=False, **more)


def last(name: str, *said: bytes, body: bytes = b"", status: int = 200, **more: Any) -> Case:
    """The client gets it, and its own connection ends behind it: only so is its end known."""
    return Case(name, said, (Told(status, body),), closes=True, **more)


def bad(name: str, *said: bytes, **more: Any) -> Case:
    """The client gets 502 in its place."""
    return Case(name, said, (Told(502), HONEST), **more)


def cut(name: str, *said: bytes, **more: Any) -> Case:
    """It had begun: the client is reset, for it must not take what it has for the whole."""
    return Case(name, said, (), cut=True, **more)


def plain() -> Iterator[Case]:
    ok = answer(b"Content-Length: 2", body=b"ok")
    yield passed("a length", ok, b"ok")
    yield passed("a length of 0", answer(b"Content-Length: 0"))
    yield passed("chunks", answer(CHUNKED, body=HELLO), b"hello")
    yield passed("chunks and trailers", answer(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), b"hello")
    yield passed("chunks of a byte", answer(CHUNKED, body=b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"), b"ab")
    for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 O  K", b"HTTP/1.1 200 \xff", b"HTTP/1.1 200 200"):
        yield passed(f"status line {line!r}", answer(b"Content-Length: 2", body=b"ok", start=line), b"ok")
    for status in (201, 205, 299, 307, 404, 418, 500, 503, 599):
        sent = answer(b"Content-Length: 2", body=b"ok", start=b"HTTP/1.1 %d X" % status)
        yield passed(f"status {status}", sent, b"ok", status)
    for value in (b"a\tb", b"\xff", b"\x85Content-Length: 7", b"\xe2\x80\xa8", b"", b":"):
        yield passed(f"value {value!r}", answer(b"X: " + value, b"Content-Length: 2", body=b"ok"), b"ok")
    yield passed("leading zeros", answer(b"Content-Length: 002", body=b"ok"), b"ok")
    closing = answer(b"Connection: close", b"Content-Length: 2", body=b"ok")
    yield spoiled("Connection: close", closing, b"ok", closes=True)
    yield spoiled("Connection: close, and it stays", closing, b"ok")
    lines = (b"Connection: keep-alive, X-Hop", b"X-Hop: y", b"Keep-Alive: timeout=5", b"Content-Length: 2")
    yield passed("what is one hop's", answer(*lines, body=b"ok"), b"ok", gone=(b"x-hop", b"alive"))
    lines = (b"Connection: Content-Length", b"Content-Length: 2")
    yield passed("Connection: content-length", answer(*lines, body=b"ok"), b"ok")
    yield passed("two cookies", answer(b"Set-Cookie: a=b", b"Set-Cookie: c=d", b"Content-Length: 2", body=b"ok"), b"ok")
    old = answer(b"Content-Length: 2", body=b"ok", start=b"HTTP/1.0 200 OK")
    yield spoiled("HTTP/1.0", old, b"ok", closes=True)
    lines = (b"Content-Length: 2", b"Connection: keep-alive")
    yield passed("HTTP/1.0 that stays", answer(*lines, body=b"ok", start=b"HTTP/1.0 200 OK"), b"ok")
    yield last("ended by close", answer(body=b"hello"), body=b"hello")
    yield last("ended by close, in pieces", answer(), b"hel", b"lo", body=b"hello")
    yield last("ended by close in HTTP/1.0", answer(body=b"hello", start=b"HTTP/1.0 200 OK"), body=b"hello")
    keep = answer(b"Connection: keep-alive", body=b"hello", start=b"HTTP/1.0 200 OK")
    yield last("no length in spite of keep-alive", keep, body=b"hello")


def without_bodies() -> Iterator[Case]:
    """No body, whatever the head says of one."""
    for status in (204, 304):
        start = b"HTTP/1.1 %d X" % status
        yield passed(f"{status}", answer(start=start), status=status)
        yield passed(f"{status} with a length of 0", answer(b"Content-Length: 0", start=start), status=status)
        yield spoiled(f"{status} and a body", answer(start=start) + b"hello", status=status)
        yield spoiled(f"{status} and another answer", answer(start=start) + POISON, status=status)
    yield passed("304 with a length", answer(b"Content-Length: 5", start=b"HTTP/1.1 304 X"), status=304)
    lied = answer(b"Content-Length: 5", body=b"hello", start=b"HTTP/1.1 304 X")
    yield spoiled("304 with a length and a body", lied, status=304)
    yield passed("304 in chunks", answer(CHUNKED, start=b"HTTP/1.1 304 X"), status=304)
    yield spoiled("304 in chunks that come", answer(CHUNKED, body=HELLO, start=b"HTTP/1.1 304 X"), status=304)
    yield bad("204 with a length", answer(b"Content-Length: 5", body=b"hello", start=b"HTTP/1.1 204 X"))
    yield bad("204 in chunks", answer(CHUNKED, body=HELLO, start=b"HTTP/1.1 204 X"))
    for lines in ((b"Content-Length: 5",), (CHUNKED,), ()):
        head = answer(*lines)
        yield passed(f"HEAD {lines}", head, method=b"HEAD")
        yield spoiled(f"HEAD {lines} and a body", head + b"hello", method=b"HEAD")
        yield spoiled(f"HEAD {lines} and another answer", head + POISON, method=b"HEAD")


def too_long() -> Iterator[Case]:
    """Bytes behind the answer that came with it: nobody's, and the connection's end."""
    ok = answer(b"Content-Length: 2", body=b"ok")
    for extra in (b"\r\n", b"x", POISON, b"\x00" * 100, b"HTTP/1.1 "):
        yield spoiled(f"a length and {extra[:12]!r}", ok + extra, b"ok")
        yield spoiled(f"chunks and {extra[:12]!r}", answer(CHUNKED, body=HELLO) + extra, b"hello")
        yield spoiled(f"no body and {extra[:12]!r}", answer(b"Content-Length: 0") + extra)
    yield Case("extra bytes in pieces", (ok[:-1], b"k" + POISON), (Told(200, b"ok"), HONEST))
    split = answer(b"Location: /\r\nContent-Length: 0\r\n\r\n" + POISON[:-2], b"Content-Length: 2", body=b"ok")
    yield spoiled("a split head", split)


def two_framings() -> Iterator[Case]:
    yield bad("CL and TE", answer(b"Content-Length: 5", CHUNKED, body=HELLO))
    yield bad("TE and CL", answer(CHUNKED, b"Content-Length: 15", body=HELLO))
    yield bad("two CLs", answer(b"Content-Length: 2", b"Content-Length: 3", body=b"ok!"))
    yield bad("two CLs alike", answer(b"Content-Length: 2", b"Content-Length: 2", body=b"ok"))
    for value in (
        *(b"-1", b"+2", b"2, 2", b"2,3", b"", b"0x2", b"2 2", b"\t2", b"2\t", b"9" * 19, b"two", b"\xb2", b"2\x00"),
    ):
        yield bad(f"CL value {value!r}", answer(b"Content-Length: " + value, body=b"ok"), closes=True)
    for value in (
        *(b"xchunked", b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b""),
        *(b"\x0bchunked", b"\tchunked", b"chunked "),
    ):
        yield bad(f"TE value {value!r}", answer(b"Transfer-Encoding: " + value, body=HELLO), closes=True)
    yield bad("two TEs", answer(CHUNKED, CHUNKED, body=HELLO))
    yield bad("TE in HTTP/1.0", answer(CHUNKED, body=HELLO, start=b"HTTP/1.0 200 OK"), closes=True)
    for line in (b"Content_Length: 2", b"Transfer_Encoding: chunked", b"Content-Length : 2", b" Content-Length: 2"):
        yield bad(f"line {line!r}", answer(line, body=b"ok"), closes=True)


def heads() -> Iterator[Case]:
    for line in (
        *(b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/0.9 200 OK", b"http/1.1 200 OK", b"ICY 200 OK"),
        *(b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1200 OK"),
        *(b" HTTP/1.1 200 OK", b"HTTP/1.1 OK", b"HTTP/1.1"),
        *(b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 000 OK"),
        *(b"HTTP/1.1 099 OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 2x0"),
        *(b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\x0bK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK"),
        *(b"200 OK", b"<html>", b""),
        *(b"HTTP/1.1 200 OK\rX: y", b"HTTP/1.1 200 OK\nX: y"),
        *(b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 \xb2\xb0\xb0 OK"),
    ):
        yield bad(f"status line {line!r}", answer(b"Content-Length: 2", body=b"ok", start=line), closes=True)
    for line in (
        *(b"X : y", b" X: y", b"X: a\r\n b", b"X", b": y", b"X\x00: y", b"X: \x00", b"X: a\rb", b"X: a\nb", b"\xff: y"),
        *(b"X: \x7f", b"X\t: y", b"X: a\r\n\tb", b"X: a\x0bb", b"Set-Cookie: a=b\rContent-Length: 9"),
    ):
        yield bad(f"header {line!r}", answer(line, b"Content-Length: 2", body=b"ok"))
    yield bad("only LFs", answer(b"Content-Length: 2", body=b"ok").replace(b"\r\n", b"\n"))
    yield bad("101 header lines", answer(*[b"a:"] * 100, b"Content-Length: 2", body=b"ok"))
    yield bad("a head of 33 KiB", answer(b"X: " + b"y" * 33000, b"Content-Length: 2", body=b"ok"))
    yield bad("a head that does not end", answer(b"X: " + b"y" * 33000)[:-4])
    yield bad("nothing", closes=True)
    yield bad("half a head", answer(b"Content-Length: 2")[:-2], closes=True)
    switch = answer(b"Upgrade: x", b"Connection: upgrade", start=b"HTTP/1.1 101 Switching")
    yield bad("switching unasked", switch + POISON)


def bodies() -> Iterator[Case]:
    yield cut("too short", answer(b"Content-Length: 5", body=b"hel"), closes=True)
    yield cut("a head and no body", answer(b"Content-Length: 5"), closes=True)
    yield cut("no last chunk", answer(CHUNKED, body=b"5\r\nhello\r\n"), closes=True)
    yield cut("half a chunk", answer(CHUNKED, body=b"5\r\nhel"), closes=True)
    yield cut("no end of trailers", answer(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: y\r\n"), closes=True)
    for body in (
        *(b"5;x\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n"),
        *(b"5\r\nhello!\r\n0\r\n\r\n", b"-1\r\n\r\n"),
        *(b"ffffffffffffffff1\r\nhello", b"5\r\nhello0\r\n\r\n"),
        *(b"0\r\nContent-Length: 9\r\n\r\n", b"0\r\nSet-Cookie: a=b\r\n\r\n"),
        *(b"hello", b"\r\n", b"5\r\nhello\r\n0\r\n\n", b"0\r\n\rX", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    ):
        yield bad(f"chunks {body!r}", answer(CHUNKED, body=body))
        yield cut(f"chunks {body!r} behind the head", answer(CHUNKED), body)


def interims() -> Iterator[Case]:
    ok = answer(b"Content-Length: 2", body=b"ok")
    yield passed("100", answer(start=b"HTTP/1.1 100 Continue") + ok, b"ok")
    early = answer(b"Link: </a.css>", start=b"HTTP/1.1 103 Early Hints")
    yield passed("103", early + ok, b"ok", interim=(103,))
    yield Case("103 in pieces", (early[:9], early[9:], ok), (Told(200, b"ok"), HONEST), reused=True, interim=(103,))
    yield passed("102 and 103", answer(start=b"HTTP/1.1 102 P") + early + ok, b"ok", interim=(102, 103))
    hop = answer(b"Connection: close, X-Hop", b"X-Hop: y", b"Keep-Alive: a", start=b"HTTP/1.1 103 Early Hints")
    yield passed("103 with what is one hop's", hop + ok, b"ok", interim=(103,), gone=(b"hop", b"alive"))
    old = answer(b"Link: </a.css>", start=b"HTTP/1.0 103 Early Hints")
    yield passed("103 in HTTP/1.0", old + ok, b"ok", interim=(103,), gone=(b"http/1.0",))
    yield passed("a hundred 100s", answer(start=b"HTTP/1.1 100 Continue") * 16 + ok, b"ok")
    yield bad("a flood of 100s", answer(start=b"HTTP/1.1 100 Continue") * 5000)
    yield bad("a flood of 103s", *[early * 10] * 100, interim=(103,) * 100)
    yield bad("100 with a length", answer(b"Content-Length: 5", start=b"HTTP/1.1 100 Continue") + b"hello" + ok)
    yield bad("103 in chunks", answer(CHUNKED, start=b"HTTP/1.1 103 Early Hints") + HELLO + ok)
    yield bad("103 and no answer", early, closes=True, interim=(103,))
    yield bad("103 and garbage", early + b"garbage\r\n\r\n", interim=(103,))


def for_http_1_0() -> Iterator[Case]:
    """A client that knows no chunks and no 1xx, and whose connection ends with its answer."""
    for name, said, body in (
        ("a length", answer(b"Content-Length: 2", body=b"ok"), b"ok"),
        ("chunks", answer(CHUNKED, body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"), b"hello"),
        ("103", answer(start=b"HTTP/1.1 103 Early Hints") + answer(b"Content-Length: 2", body=b"ok"), b"ok"),
        ("no body", answer(b"Content-Length: 0"), b""),
    ):
        yield Case(f"{name} for HTTP/1.0", (said,), (Told(200, body),), minor=0, gone=(b"chunked",))
    yield Case("HEAD in chunks for HTTP/1.0", (answer(CHUNKED),), (Told(200),), b"HEAD", 0, gone=(b"chunked",))
    yield last("ended by close for HTTP/1.0", answer(body=b"hello"), body=b"hello", minor=0)
    yield cut("too short for HTTP/1.0", answer(b"Content-Length: 5", body=b"hel"), closes=True, minor=0)
    yield cut("no last chunk for HTTP/1.0", answer(CHUNKED, body=b"5\r\nhello\r\n"), closes=True, minor=0)
    yield Case("two CLs for HTTP/1.0", (answer(b"Content-Length: 2", b"Content-Length: 3"),), (Told(502),), minor=0)


CASES: Final[tuple[Case, ...]] = tuple(
    case
    for section in (plain, without_bodies, too_long, two_framings, heads, bodies, interims, for_http_1_0)
    for case in section()
)
assert len({case.name for case in CASES}) == len(CASES), "two cases of one name"
