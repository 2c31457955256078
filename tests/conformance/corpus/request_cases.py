"""What clients may try: bytes, what Carousel answers to them, and what a replica gets of it, if anything.

The sources: RFC 9110 and 9112; Linhart and others 2005 (CL.TE and its kin), Kettle 2019 (obfuscated
Transfer-Encoding), 2022 (CL.0) and 2025 (0.CL, Expect), Weikop 2025 (chunk extensions and line ends).
A `refused` case must reach no replica as a request; of a `forwarded` one, everything that any peer can read must be
what we read. `SMUGGLED` is the request that an attacker would have somebody else's connection begin with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from support.readers import Seen

SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Case:
    """`answers`: the statuses that the client gets, in order. `seen`: what replicas get, one message each. `gone`:
    bytes, in lower case, that were sent and are not in what replicas get; `kept`: such that are."""

    name: str
    sent: bytes
    answers: tuple[int, ...]
    seen: tuple[Seen, ...] = ()
    gone: tuple[bytes, ...] = ()
    kept: tuple[bytes, ...] = ()


def refused(name: str, sent: bytes, status: int = 400) -> Case:
    return Case(name, sent, (status,))


def cut(name: str, sent: bytes) -> Case:
    """It ends before it is whole: nobody is answered, no replica gets a whole request."""
    return Case(name, sent, ())


def forwarded(
    name: str,
    sent: bytes,
    body: bytes = b"",
    target: bytes = b"/",
    *more: Seen,
    gone: tuple[bytes, ...] = (),
    kept: tuple[bytes, ...] = (),
) -> Case:
    """It passes as `body` at `target`, its method unchanged, and then `more`."""
    method = sent.lstrip(b"\r\n").partition(b" ")[0]
    return Case(name, sent, (OK,) * (1 + len(more)), (Seen(method, target, body), *more), gone, kept)


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """A head; `host` b"" leaves that line out."""
    return b"".join(line + b"\r\n" for line in (start, host, *lines) if line) + b"\r\n"


def post(*lines: bytes, body: bytes = b"", start: bytes = b"POST / HTTP/1.1") -> bytes:
    return get(*lines, start=start) + body


CHUNKED: Final = b"Transfer-Encoding: chunked"
HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"
NEXT: Final = Seen(b"GET", b"/next")
GET_NEXT: Final = get(start=b"GET /next HTTP/1.1")


def two_framings() -> Iterator[Case]:
    """Content-Length and Transfer-Encoding together, and Transfer-Encoding in every disguise."""
    both = post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED)
    yield refused("CL.TE", both)
    yield refused("TE.CL", post(CHUNKED, b"Content-Length: 4", body=b"5c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"))
    yield refused("CL 0 with TE", post(b"Content-Length: 0", CHUNKED, body=HELLO))
    yield refused("TE in HTTP/1.0", post(CHUNKED, body=HELLO, start=b"POST / HTTP/1.0"))
    for value, status in (
        *((b"xchunked", 501), (b"chunkedx", 501), (b"chunk", 501), (b"cow", 501), (b"identity", 501), (b"", 501)),
        *((b"chunked, identity", 501), (b"identity, chunked", 501)),
        *((b"chunked, chunked", 501), (b"gzip, chunked", 501)),
        *((b"chunked,", 501), (b",chunked", 501), (b"chunked;a=b", 501), (b'"chunked"', 501), (b"'chunked'", 501)),
        *((b"\x0bchunked", 400), (b"\x0cchunked", 400), (b"chunked\x0b", 400)),
        *((b"chunked\x00", 400), (b"\x00chunked", 400)),
        *((b"\tchunked", 501), (b"chunked\t", 501), (b"chunked ", 501)),
        *((b"\xa0chunked", 501), (b"chunked\x85", 501), (b"chun ked", 501)),
        *((b"\r\n chunked", 400), (b"\rchunked", 400), (b"chunked\r", 400)),
        *((b"\nchunked", 400), (b"x\r\n chunked", 400)),
    ):
        line = b"Transfer-Encoding: " + value
        yield refused(f"TE value {value!r}", post(b"Content-Length: 4", line, body=HELLO), status)
        yield refused(f"TE value {value!r} alone", post(line, body=HELLO), status)
    for line in (
        *(b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked"),
        *(b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding\x00: chunked", b"\x00Transfer-Encoding: chunked"),
        *(b"Transfer-Encoding\r\n : chunked", b"Transfer-Encoding\r: chunked", b"X: x\nTransfer-Encoding: chunked"),
        *(b"X: x\rTransfer-Encoding: chunked", b"X: x\r\n\rTransfer-Encoding: chunked", b"Transfer-Encoding chunked"),
        *(b"Transfer_Encoding: chunked", b"transfer_encoding: identity", b"Transfer\xadEncoding: chunked"),
        *(b"Tran\xc5\xbffer-Encoding: chunked", b"Transfer-Encod\xc4\xb1ng: chunked", b"Transfer Encoding: chunked"),
    ):
        yield refused(f"TE line {line!r}", post(line, b"Content-Length: 5", body=HELLO))
    yield refused("two TE lines", post(CHUNKED, CHUNKED, body=HELLO))
    yield refused("two TE lines, the second unknown", post(CHUNKED, b"Transfer-Encoding: cow", body=HELLO))
    yield refused("two TE lines, the first unknown", post(b"Transfer-Encoding: cow", CHUNKED, body=HELLO), 501)
    for line in (b"Transfer-Encoding:chunked", b"transfer-encoding:  Chunked", b"TRANSFER-ENCODING: CHUNKED"):
        yield forwarded(f"TE line {line!r}", post(line, body=HELLO), b"hello")
    for line in (b"X-Transfer-Encoding: chunked", b"Content-Encoding: chunked", b"Transfer-Encoding-X: chunked"):
        yield forwarded(f"no TE line {line!r}", post(line, b"Content-Length: 5", body=b"hello"), b"hello")
    lines = (b"TE: chunked", b"Content-Length: 5")
    yield forwarded("TE is one hop's", post(*lines, body=b"hello"), b"hello", gone=(b"\nte:",))


def lengths() -> Iterator[Case]:
    """Content-Length: one number, and where the body ends by it."""
    for value in (
        *(b"5, 5", b"5,5", b"5, 6", b",5", b"+5", b"-5", b"-0", b"0x5", b"5.0", b"5e0", b"1_0", b"5;", b'"5"', b"5 5"),
        *(b"", b"five", b"\xd9\xa5", b"\xb2", b"5\x00", b"\x0b5", b"5\x0b", b"\t5", b"5\t", b"\xa05", b"5\r\n 6"),
        *(b"9" * 19, b"18446744073709551621", b"0" * 19, b"\r\n 5", b"5\r", b"5\n"),
    ):
        yield refused(f"CL value {value!r}", post(b"Content-Length: " + value, body=b"hello" + SMUGGLED))
    for line in (
        *(b"Content-Length : 5", b"Content-Length\t: 5", b" Content-Length: 5"),
        *(b"Content_Length: 5", b"content_LENGTH: 0"),
        *(b"Content-Length\x0b: 5", b"Content-Length\x00: 5", b"X: x\nContent-Length: 5", b"X: x\rContent-Length: 5"),
    ):
        yield refused(f"CL line {line!r}", post(line, body=b"hello"))
    yield refused("two CLs", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"))
    yield refused("two CLs alike", post(b"Content-Length: 5", b"content-length: 5", body=b"hello"))
    yield refused("a CL and its twin", post(b"Content-Length: 5", b"Content_Length: 0", body=b"hello"))
    for line in (b"Content-Length:5", b"CONTENT-LENGTH:   5 ", b"Content-Length: 005"):
        yield forwarded(f"CL line {line!r}", post(line, body=b"hello"), b"hello")
    yield forwarded("CL 0, then another", post(b"Content-Length: 0", body=GET_NEXT), b"", b"/", NEXT)
    yield forwarded("no CL, then another", post(body=GET_NEXT), b"", b"/", NEXT)
    inside = post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED + GET_NEXT)
    yield forwarded("a request as a body", inside, SMUGGLED, b"/", NEXT)
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"QUERY"):
        sent = post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED, start=method + b" / HTTP/1.1")
        yield forwarded(f"{method.decode()} with a body", sent, SMUGGLED)
    yield cut("a body too short", post(b"Content-Length: 6", body=b"hello"))


def chunks() -> Iterator[Case]:
    """Chunked framing: sizes, ends of lines, extensions, trailers."""
    for size in (
        *(b"5;a=b", b"5;", b"5 ;a", b"5; a", b'5;a="b"', b'5;a="\r\n"'),
        *(b"5;\n", b"5;a\nb", b"5;\r;", b"5\t", b"5 ", b" 5"),
        *(b"0x5", b"0X5", b"+5", b"-5", b"-0", b"5h", b"h"),
        *(b"", b"5,", b"5\x00", b"5\x0b", b"\xef\xbc\x95", b"5\r", b"5.0"),
        *(b"ffffffffffffffff1", b"10000000000000005", b"100000005" * 2),
        *(b"8000000000000005", b"0" * 15 + b"5", b"\r\n5"),
    ):
        yield refused(f"chunk size {size!r}", post(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED))
    for size in (b"005", b"0" * 14 + b"5"):
        yield forwarded(f"chunk size {size!r}", post(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n"), b"hello")
    for size in (b"A", b"a"):
        ten = size + b"\r\n0123456789\r\n0\r\n\r\n"
        yield forwarded(f"chunk size {size!r}", post(CHUNKED, body=ten), b"0123456789")
    for body in (
        *(b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\r\nhello\r\n0\r\n\r\n", b"5\n\rhello\r\n0\r\n\r\n"),
        *(b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n"),
        *(b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\r\r\n0\r\n\r\n"),
        *(b"5\r\nhello\r\n\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n"),
        *(b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\n\rX", b"5\r\nhello\r\n0;x\r\n\r\n"),
        *(b"5\r\nhello\r\n0 \r\n\r\n", b"\n5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n-0\r\n\r\n", b"0\r\nX\r\n\r\n"),
    ):
        yield refused(f"chunks {body!r}", post(CHUNKED, body=body + SMUGGLED))
    for last in (b"00", b"000000"):
        body = b"5\r\nhello\r\n" + last + b"\r\n\r\n" + GET_NEXT
        yield forwarded(f"last chunk {last!r}", post(CHUNKED, body=body), b"hello", b"/", NEXT)
    many = b"".join(b"1\r\n%c\r\n" % byte for byte in SMUGGLED) + b"0\r\n\r\n"
    yield forwarded("a request in chunks of a byte", post(CHUNKED, body=many + GET_NEXT), SMUGGLED, b"/", NEXT)
    yield forwarded("GET in chunks", post(CHUNKED, body=HELLO, start=b"GET / HTTP/1.1"), b"hello")
    odd = b"4\r\n\x00\r\n\xff\r\n0\r\n\r\n"
    yield forwarded("control characters in chunks", post(CHUNKED, body=odd), b"\x00\r\n\xff")
    yield cut("no last chunk", post(CHUNKED, body=b"5\r\nhello\r\n"))
    yield cut("no end of trailers", post(CHUNKED, body=b"0\r\nX: y\r\n"))
    yield cut("half a chunk", post(CHUNKED, body=b"5\r\nhel"))


def trailers() -> Iterator[Case]:
    yield forwarded("trailers", post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"), b"hello")
    for name in (
        *(b"Content-Length", b"content_length", b"Transfer-Encoding", b"Host", b"Trailer", b"Connection", b"Upgrade"),
        *(b"TE", b"Keep-Alive", b"Content-Type", b"Content-Encoding", b"Content-Range", b"Authorization", b"Cookie"),
        *(b"X-Forwarded-For", b"x_forwarded_for", b"X-Forwarded-Port", b"Forwarded", b"X-Request-Id", b"X-Real-IP"),
        *(b"Expect", b"If-Match", b"Range", b"Cache-Control"),
        *(b"Via", b"Max-Forwards", b"Proxy-Authorization", b"Pragma"),
    ):
        yield refused(f"trailer {name!r}", post(CHUNKED, body=b"5\r\nhello\r\n0\r\n%b: 5\r\n\r\n" % name))
    for line in (
        *(b"X : y", b" X: y", b"X", b": y", b"X: a\r\n b"),
        *(b"X: a\nY: b", b"X: a\rY: b", b"X: \x00", b"X: y\x7f", b"\xff: y"),
        *(b"X: " + b"y" * 9000, b"GET /smuggled HTTP/1.1"),
    ):
        yield refused(f"trailer line {line[:30]!r}", post(CHUNKED, body=b"0\r\n" + line + b"\r\n\r\n"))


def line_ends() -> Iterator[Case]:
    """CRLF and nothing else."""
    yield refused("only LFs", get(b"X: y").replace(b"\r\n", b"\n"))
    yield refused("only CRs", get(b"X: y").replace(b"\r\n", b"\r"))
    yield refused("LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n")
    yield refused("LF after a header", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")
    yield refused("LF as the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\n")
    yield refused("LF LF within a value", get(b"X: y\n\nGET /smuggled HTTP/1.1"))
    yield refused("CR after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n")
    yield refused("CR within the request line", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n")
    yield refused("CR as the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n")
    yield refused("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n")
    yield refused("CR CR LF after a header", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n")
    yield refused("LF CR", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r")
    yield refused("a blank line of a space", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n")
    yield refused("a folded value", get(b"X: y\r\n z"))
    yield refused("a value folded by TAB", get(b"X: y\r\n\tz"))
    yield refused("a folded Host", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n")
    yield refused("a fold before the first header", b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n")
    yield forwarded("an empty line before the request", b"\r\n" + get())
    yield refused("two empty lines before the request", b"\r\n\r\n" + get())
    yield refused("an LF before the request", b"\n" + get())
    yield forwarded("an empty line between two", get() + b"\r\n" + GET_NEXT, b"", b"/", NEXT)


def header_lines() -> Iterator[Case]:
    for line in (
        *(b"no colon", b": y", b":", b"X Y: z", b"X : y", b"X\t: y"),
        *(b"(X): y", b"X/Y: z", b'"X": y', b"X@: y", b"[X]: y"),
        *(b"\xc4: y", b"X\xff: y", b"X\x00: y", b"X\x7f: y", b"X\x0b: y", b"X\x0c: y", b"{X}: y", b"X,Y: z", b"X=: y"),
    ):
        yield refused(f"name {line!r}", get(line))
    for code in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F):
        yield refused(f"value with {code:#04x}", get(b"X: a%cb" % code))
    for value in (
        *(b"a\tb", b"\xff", b"\x85Content-Length: 5", b"\xa0", b"\xe2\x80\xa8Content-Length: 5", b"", b'":;\\', b":"),
    ):
        yield forwarded(f"value {value!r}", get(b"X: " + value), kept=(b"x: " + value.lower(),))
    for name in (b"!#$%&'*+-.^_`|~09Az", b"X", b"X" * 300):
        yield forwarded(f"name {name[:30]!r}", get(name + b": y"), kept=(name.lower() + b": y",))


def twins() -> Iterator[Case]:
    """CGI and WSGI read `-` and `_` in a name as the same; nginx drops names with `_`."""
    yield refused("a name doubled by _", get(b"X-User: a", b"X_User: b"))
    yield refused("a name doubled by _, the other way round", get(b"x_user: b", b"X-USER: a"))
    yield refused("two names that differ in where the _ is", get(b"X-A_B: a", b"X_A-B: b"))
    yield forwarded("a name with _", get(b"X_User: a", b"X-Users: b"), kept=(b"x_user: a",))
    yield forwarded("a name with _ twice", get(b"X_User: a", b"X_User: b"), kept=(b"x_user: a", b"x_user: b"))
    yield forwarded("no name but a value", get(b"X-User: x_user: b", b"Cookie: x-user_x=1"))
    yield refused("our own name with _", get(b"X_Request_Id: evil"))
    yield refused("our own name with _ and -", get(b"x-request_id: evil", b"X-Request-Id: a"))


def request_lines() -> Iterator[Case]:
    for line, status in (
        *((b"GET  / HTTP/1.1", 400), (b"GET /  HTTP/1.1", 400), (b"GET\t/ HTTP/1.1", 400), (b"GET /\tHTTP/1.1", 400)),
        *((b" GET / HTTP/1.1", 400), (b"GET / HTTP/1.1 ", 400), (b"GET / HTTP/1.1\t", 400), (b"GET / HTTP/1.1 x", 400)),
        *((b"GET /", 400), (b"GET", 400), (b"GET / ", 400), (b"/ HTTP/1.1", 400), (b"GET HTTP/1.1", 400), (b" ", 400)),
        *((b"GET / HTTP/0.9", 505), (b"GET / HTTP/1.2", 505), (b"GET / HTTP/2.0", 505), (b"GET / HTTP/9.9", 505)),
        *((b"GET / http/1.1", 400), (b"GET / Http/1.1", 400), (b"GET / HTTP/1", 400), (b"GET / HTTP/1.", 400)),
        *((b"GET / HTTP/11", 400), (b"GET / HTTP/1.01", 400), (b"GET / HTTP/1.10", 400), (b"GET / HTTP/2", 400)),
        *((b"GET / HTTP /1.1", 400), (b"GET / HTTP/ 1.1", 400), (b"GET / HTTP/1,1", 400), (b"GET / ICAP/1.0", 400)),
        *((b"GET / HTTP/1.1\x00", 400), (b"GET /\x00 HTTP/1.1", 400)),
        *((b"GET\x00 / HTTP/1.1", 400), (b"GET /\x0b HTTP/1.1", 400)),
        *((b"G@T / HTTP/1.1", 400), (b"GET: / HTTP/1.1", 400), (b"G\xcbT / HTTP/1.1", 400), (b"(GET) / HTTP/1.1", 400)),
        *((b"GET /a b HTTP/1.1", 400), (b"GET /a HTTP/1.1 HTTP/1.1", 400), (b"GET / HTTP/1.1 HTTP/1.0", 400)),
    ):
        yield refused(f"request line {line!r}", get(start=line), status)
    yield refused("HTTP/0.9", b"GET /\r\n")
    yield refused("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505)
    yield refused("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 40)
    yield refused("a PROXY header that nobody asked for", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get())
    for method in (b"PRI", b"TRACE", b"M-SEARCH", b"BREW", b"get", b"X!", b"A" * 64, b"SOURCE"):
        yield forwarded(f"method {method[:20]!r}", get(start=method + b" / HTTP/1.1"))


def targets() -> Iterator[Case]:
    for target, status in (
        *((b"/a#b", 400), (b"/#", 400), (b"/\xe9", 400), (b"/\xff\xfe", 400), (b"/\x7f", 400), (b"/\x01", 400)),
        *((b"*", 400), (b"home", 400), (b"?q", 400), (b"a:80", 400)),
        *((b"http:/a/", 400), (b"http://", 400), (b"http:///x", 400)),
        *((b"http://b/", 400), (b"http://user@a/", 400), (b"http://a@b/", 400)),
        *((b"http://a:80/", 400), (b"http://a:/", 400)),
        *((b"http://a.b/", 400), (b"http://b#@a/", 400), (b"http://b\\@a/", 400)),
        *((b"http://a\\/", 400), (b"http://a%00/", 400)),
        *((b"https://a/", 400), (b"ftp://a/", 400), (b"file:///x", 400), (b"//\x00", 400), (b"http://[::1/", 400)),
        *((b"/" + b"a" * 8192, 414), (b"/" + b"b" * 70000, 414)),
    ):
        yield refused(f"target {target[:30]!r}", get(start=b"GET " + target + b" HTTP/1.1"), status)
    for target in (
        *(b"//", b"//b/x", b"/../x", b"/./x", b"/%2e%2e/x", b"/%00"),
        *(b"/%", b"/%zz", b"/\\x", b"/a;b=c", b"/a?b?c#"[:-1]),
        *(b"/:80", b"/http://b/", b"/a//b", b'/"<>^`{|}', b"/?"),
        *(b"/?\\", b"/a%0d%0aX:%20y", b"/@b", b"/" + b"c" * 8000),
    ):
        yield forwarded(f"target {target[:30]!r}", get(start=b"GET " + target + b" HTTP/1.1"), b"", target)
    for target, path in (
        *((b"http://a/x?y", b"/x?y"), (b"HTTP://A", b"/"), (b"http://a?q", b"/?q"), (b"http://a//b", b"//b")),
    ):
        yield forwarded(f"target {target!r}", get(start=b"GET " + target + b" HTTP/1.1"), b"", path)
    yield forwarded("OPTIONS *", get(start=b"OPTIONS * HTTP/1.1"), b"", b"*")
    yield forwarded("OPTIONS of a server", get(start=b"OPTIONS http://a HTTP/1.1"), b"", b"*")
    yield refused("a URL without Host", get(start=b"GET http://a/ HTTP/1.1", host=b""))
    yield refused("a URL without Host in HTTP/1.0", get(start=b"GET http://a/ HTTP/1.0", host=b""))
    for target in (b"a:80", b"/", b"http://a/", b"*", b"a"):
        yield refused(f"CONNECT {target!r}", get(start=b"CONNECT " + target + b" HTTP/1.1"), 501)


def hosts() -> Iterator[Case]:
    yield refused("no Host", get(host=b""))
    yield refused("two Hosts", get(b"Host: b"))
    yield refused("two Hosts alike", get(b"host: a"))
    yield refused("two Hosts in HTTP/1.0", get(b"Host: b", start=b"GET / HTTP/1.0"))
    yield refused("a space before Host's colon", get(host=b"Host : a"))
    for host in (
        *(b"a b", b"a, b", b"a,b", b"a/b", b"u@a", b"a:b", b"a:123456"),
        *(b"a:-1", b"a\\b", b"\xe9", b"[::1", b"::1", b"a#", b"a?"),
        *(b"a\tb", b"\ta", b"a\t", b"[::1]x", b'"a"', b"<a>"),
        *(b"a;b", b"a'b", b"a:80:80", b"[a%25b]", b"a\x00", b"http://a"),
    ):
        yield refused(f"Host {host!r}", get(host=b"Host: " + host))
    for host in (b"a:80", b"A", b"a_b.c-d", b"[::1]:80", b"127.0.0.1", b"a ", b"a.", b"xn--bcher-kva.example"):
        yield forwarded(f"Host {host!r}", get(host=b"Host: " + host), kept=(b"host: " + host.lower(),))
    yield forwarded("an empty Host", get(host=b"Host:"))
    yield forwarded("no Host in HTTP/1.0", get(start=b"GET / HTTP/1.0", host=b""), kept=(b"host: replica\r\n",))


def one_hop() -> Iterator[Case]:
    """What Connection may take away, and what it may not."""
    with_body = (b"Content-Length: 5",)
    for options in (b"content-length", b"close, Content-Length", b"content-length\t,x"):
        sent = post(b"Connection: " + options, *with_body, body=b"hello")
        yield forwarded(f"Connection: {options!r}", sent, b"hello", kept=(b"content-length: 5",))
    yield forwarded(
        "Connection: transfer-encoding", post(b"Connection: transfer-encoding", CHUNKED, body=HELLO), b"hello"
    )
    yield forwarded("Connection: host", get(b"Connection: Host"), kept=(b"host: a",))
    for name in (b"X-Request-Id", b"X-Forwarded-For", b"Forwarded", b"Via"):
        sent = get(b"Connection: " + name, name + b": mine")
        yield forwarded(f"Connection: {name.decode()}", sent, kept=(b"\n" + name.lower() + b": ",))
    yield forwarded("what Connection names", get(b"Connection: x-hop", b"X-Hop: y"), gone=(b"x-hop", b"connection"))
    lines = (b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Connection: keep-alive", b"TE: trailers")
    yield forwarded("what is one hop's", get(*lines), gone=(b"alive", b"\nte:", b"connection"))
    lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    yield forwarded("an upgrade to HTTP/2", get(*lines), gone=(b"upgrade", b"h2c", b"http2-settings"))
    yield forwarded("Upgrade: h2c alone", get(b"Upgrade: h2c"), gone=(b"h2c",))
    yield Case("nothing after Connection: close", get(b"Connection: close") + SMUGGLED, (OK,), (Seen(b"GET", b"/"),))


def expectations() -> Iterator[Case]:
    """No Expect reaches a replica: this hop has answered it."""
    for value in (
        *(
            b"100-continue",
            b"100-Continue ",
            b"100-continue, x",
            b"x 100-continue",
            b"200-ok",
            b"",
            b"100-continue;q=1",
        ),
    ):
        sent = post(b"Expect: " + value, b"Content-Length: 5", body=b"hello" + GET_NEXT)
        yield forwarded(f"Expect: {value!r}", sent, b"hello", b"/", NEXT, gone=(b"expect",))
    twice = post(b"Expect: 100-continue", b"Expect: x", b"Content-Length: 5", body=b"hello")
    yield forwarded("two Expects", twice, b"hello", gone=(b"expect",))
    yield forwarded("Expect without a body", get(b"Expect: 100-continue"), gone=(b"expect",))
    old = post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", start=b"POST / HTTP/1.0")
    yield forwarded("Expect in HTTP/1.0", old, b"hello", gone=(b"expect",))


def sizes() -> Iterator[Case]:
    yield forwarded("100 header lines", get(*[b"a:"] * 99))
    yield refused("101 header lines", get(*[b"a:"] * 100), 431)
    yield refused("1000 header lines", get(*[b"a:"] * 1000), 431)
    yield forwarded("a head of 15 KiB", get(b"X: " + b"y" * 15000))
    yield refused("a head of 17 KiB", get(b"X: " + b"y" * 17000), 431)
    yield refused("a head of 65 KiB", get(b"X: " + b"y" * 65536), 431)
    yield refused("a head of 65 KiB that does not end", get(b"X: " + b"y" * 65536)[:-4], 431)
    yield refused("a method of 9 KiB", get(start=b"A" * 9000 + b" / HTTP/1.1"), 414)


def pipelines() -> Iterator[Case]:
    seen = tuple(Seen(b"GET", b"/%d" % i) for i in range(5))
    sent = b"".join(get(start=b"GET /%d HTTP/1.1" % i) for i in range(5))
    yield Case("five at once", sent, (OK,) * 5, seen)
    yield Case("a good one and garbage", get() + b"garbage\r\n\r\n", (OK, 400), (Seen(b"GET", b"/"),))
    yield Case("a body nobody announced", get() + b"x=y", (OK,), (Seen(b"GET", b"/"),))
    old = get(start=b"GET / HTTP/1.0")
    yield Case("HTTP/1.0 ends after one", old + SMUGGLED, (OK,), (Seen(b"GET", b"/"),))
    kept = get(b"Connection: keep-alive", start=b"GET / HTTP/1.0")
    yield forwarded("HTTP/1.0 may go on", kept + GET_NEXT, b"", b"/", NEXT)
    sent = post(b"Content-Length: 5", body=b"hello", start=b"POST / HTTP/1.0")
    yield forwarded("HTTP/1.0 with a body", sent, b"hello")
    yield cut("half a head", get()[:-2])
    yield Case("one and a half", get() + get()[:-2], (OK,), (Seen(b"GET", b"/"),))
    short = post(b"Content-Length: 6", body=b"hello")
    yield Case("one, and one with half a body", get() + short, (OK,), (Seen(b"GET", b"/"),))


CASES: Final[tuple[Case, ...]] = tuple(
    case
    for section in (
        *(two_framings, lengths, chunks, trailers, line_ends, header_lines, twins, request_lines, targets, hosts),
        *(one_hop, expectations, sizes, pipelines),
    )
    for case in section()
)
assert len({case.name for case in CASES}) == len(CASES), "two cases of one name"
