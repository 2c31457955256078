"""Good messages as lists of tokens, and what spoils them: the fuzzers' grammar.

A mutation is three numbers: Hypothesis can draw and shrink them, a seeded generator makes thousands a second.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Tokens = list[bytes]
CRLF: Final = b"\r\n"

SEPARATORS: Final = (
    *(b"\r", b"\n", CRLF, b" ", b"\t", b":", b";", b","),
    *(b"\x00", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff", b"_", b"-"),
    *(b"+", b"0", b"5", b"0x", b"00", b"/", b"*", b"?", b"#", b"@", b"\\", b'"', b"=", b".", CRLF + b" ", CRLF + CRLF),
)
WORDS: Final = (
    *(b"chunked", b"identity", b"gzip", b"close", b"keep-alive"),
    *(b"upgrade", b"100-continue", b"content-length", b"host"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"GET", b"POST", b"HEAD", b"CONNECT", b"http://a", b"ffffffffffffffff1"),
    *(b"18446744073709551621", b"-1", b"+5", b"5, 5", b"X-A", b"X_A", b"Content_Length", b"Transfer_Encoding", b"a"),
)
LINES: Final = (
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length:15\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"transfer-encoding:Chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Host: a\r\n"),
    *(b"Host: b\r\n", b" folded\r\n"),
    *(b"Connection: close\r\n", b"Connection: content-length, host\r\n", b"Expect: 100-continue\r\n", b"X-A: b\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"X: a\nTransfer-Encoding: chunked\r\n"),
    b"Trailer: Content-Length\r\n",
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"5;x=y\r\n"),
    *(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
)
KINDS: Final = 9


@dataclass(frozen=True, slots=True)
class Mutation:
    """`kind` of KINDS; `at` and `what` are taken modulo what there is."""

    kind: int
    at: int
    what: int

    def spoil(self, tokens: Tokens) -> Tokens:
        at = self.at % len(tokens)
        token = tokens[at]
        inside = self.what % (len(token) + 1)
        match self.kind % KINDS:
            case 0:
                new = [token, token]
            case 1:
                new = []
            case 2:
                new = [_of(SEPARATORS, self.what), token]
            case 3:
                new = [_of(SEPARATORS, self.what)]
            case 4:
                new = [_of(WORDS, self.what)]
            case 5:
                new = [token.swapcase()]
            case 6:
                new = [token[:inside], _of(SEPARATORS, self.at // len(tokens)), token[inside:]]
            case 7:
                return _line_added(tokens, at, _of(LINES, self.what))
            case _:
                return _line_added(tokens, at, b"".join(_line_around(tokens, self.what % len(tokens))))
        return tokens[:at] + new + tokens[at + 1 :]


def _of(choice: Sequence[bytes], number: int) -> bytes:
    return choice[number % len(choice)]


def _line_around(tokens: Tokens, at: int) -> Tokens:
    start = next((i + 1 for i in range(at - 1, -1, -1) if tokens[i] == CRLF), 0)
    end = next((i + 1 for i in range(at, len(tokens)) if tokens[i] == CRLF), len(tokens))
    return tokens[start:end]


def _line_added(tokens: Tokens, at: int, line: bytes) -> Tokens:
    """`line` behind the line that `at` is in."""
    end = next((i + 1 for i in range(at, len(tokens)) if tokens[i] == CRLF), len(tokens))
    return [*tokens[:end], line, *tokens[end:]]


def header(name: bytes, value: bytes) -> Tokens:
    return [name, b":", b" ", value, CRLF]


def head(start: Sequence[bytes], *lines: Tokens) -> Tokens:
    return [*start, CRLF, *(token for line in lines for token in line), CRLF]


def chunks(*parts: bytes, trailers: Sequence[Tokens] = ()) -> Tokens:
    tokens: Tokens = []
    for part in parts:
        tokens += [b"%x" % len(part), CRLF, part, CRLF]
    return [*tokens, b"0", CRLF, *(token for trailer in trailers for token in trailer), CRLF]


HOST: Final = header(b"Host", b"a")
CHUNKED: Final = header(b"Transfer-Encoding", b"chunked")


def start(method: bytes, target: bytes, version: bytes = b"HTTP/1.1") -> Tokens:
    return [method, b" ", target, b" ", version]


REQUESTS: Final[tuple[Tokens, ...]] = (
    head(start(b"GET", b"/"), HOST),
    head(start(b"GET", b"/a?b=c"), HOST, header(b"Accept", b"*/*"), header(b"Cookie", b"a=b; c_d=e")),
    [*head(start(b"POST", b"/"), HOST, header(b"Content-Length", b"5")), b"hello"],
    [*head(start(b"PUT", b"/x"), header(b"Content-Length", b"35"), HOST), b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    [*head(start(b"POST", b"/"), HOST, CHUNKED), *chunks(b"hello", b"wor\r\nld")],
    [*head(start(b"POST", b"/"), HOST, CHUNKED), *chunks(b"hello", trailers=(header(b"X-Sum", b"1"),))],
    [*head(start(b"PUT", b"/"), HOST, CHUNKED, header(b"Expect", b"100-continue")), *chunks(b"x" * 300)],
    head(start(b"GET", b"/", b"HTTP/1.0"), HOST, header(b"Connection", b"keep-alive")),
    [*head(start(b"POST", b"/", b"HTTP/1.0"), header(b"Content-Length", b"2")), b"ok"],
    head(start(b"OPTIONS", b"*"), HOST),
    head(start(b"GET", b"http://a/x"), HOST),
    head(start(b"DELETE", b"/a/b"), HOST, header(b"Connection", b"close, X-Hop"), header(b"X-Hop", b"1")),
    head(start(b"GET", b"/"), HOST, header(b"Connection", b"Upgrade, HTTP2-Settings"), header(b"Upgrade", b"h2c")),
    head(start(b"HEAD", b"/"), HOST, header(b"X-Request-Id", b"a"), header(b"X_A", b"1"), header(b"TE", b"trailers")),
)
OK: Final = [b"HTTP/1.1", b" ", b"200", b" ", b"OK"]
ENDED_BY_CLOSE: Final[tuple[Tokens, ...]] = (
    [*head(OK, header(b"Connection", b"close")), b"to the end"],
    [*head([b"HTTP/1.0", b" ", b"200", b" ", b"OK"]), b"to the end"],
)
ANSWERS: Final[tuple[Tokens, ...]] = (
    [*head(OK, header(b"Content-Length", b"5")), b"hello"],
    [*head(OK, CHUNKED), *chunks(b"hello", b"wor\r\nld")],
    [*head(OK, CHUNKED), *chunks(b"hello", trailers=(header(b"X-Sum", b"1"),))],
    head([b"HTTP/1.1", b" ", b"204", b" ", b"No Content"]),
    head([b"HTTP/1.1", b" ", b"304", b" ", b"Not Modified"], header(b"ETag", b'"x"'), header(b"Content-Length", b"5")),
    [*head([b"HTTP/1.1", b" ", b"404", b" ", b"Not Found"], header(b"Content-Length", b"2")), b"no"],
    *ENDED_BY_CLOSE,
    [*head([b"HTTP/1.0", b" ", b"200", b" ", b"OK"], header(b"Content-Length", b"2")), b"ok"],
    [*head([b"HTTP/1.1", b" ", b"100", b" ", b"Continue"]), *head(OK, header(b"Content-Length", b"2")), b"ok"],
    [*head(OK, header(b"Content-Length", b"0")), b"HTTP/1.1", b" ", b"200", b" ", b"OK", CRLF, CRLF],
)


Example = tuple[list[Tokens], list[Mutation], list[int]]


def seeded(rng: random.Random, templates: Sequence[Tokens], most: int) -> Example:
    """One example of a seeded generator: messages, what spoils them (perhaps nothing), where they are cut."""
    messages = [rng.choice(templates) for _ in range(rng.randint(1, most))]
    count = rng.choice((0, 1, 1, 1, 2, 2, 3, 5))
    mutations = [Mutation(rng.randrange(KINDS), rng.randrange(1 << 16), rng.randrange(1 << 16)) for _ in range(count)]
    cuts = [rng.randrange(1 << 16) for _ in range(rng.choice((0, 1, 2, 3, 8)))]
    return messages, mutations, cuts


def spoilt(messages: Sequence[Tokens], mutations: Sequence[Mutation]) -> bytes:
    tokens = [token for message in messages for token in message]
    for mutation in mutations:
        tokens = mutation.spoil(tokens) or [CRLF]
    return b"".join(tokens)


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]
