"""The client's errors in the command line's words: what to do is a command, not a method."""

from typing import Final

from client.errors import (
    CarouselError,
    GroupNotFound,
    OffsetOutOfRange,
    PartitionNotFound,
    TopicExists,
    TopicNotFound,
    Unreachable,
)  # fmt: skip

ADVICE: Final[dict[type[CarouselError], str]] = {
    TopicNotFound: "make it by `carousel topics create NAME`, or see `carousel topics`",
    PartitionNotFound: "see `carousel topics describe NAME`",
    TopicExists: "choose another name, or use it as it is",
    GroupNotFound: "see `carousel groups`; a group is there once a consumer has joined it",
    OffsetOutOfRange: "see `carousel topics describe NAME` for what is kept; --from beginning starts there, with "
    "-o in another file",
    Unreachable: "check the address (--bootstrap) and that the servers run (`carousel status`)",
}
ADVICE_BY_CODE: Final = {
    "INVALID_CONFIG": "see `carousel topics describe NAME --json` for the names and their values",
    "_INVALID_ARG": "librdkafka's CONFIGURATION.md lists the properties that -X takes, and their values",
}
MARK: Final = "What to do: "


def advice_for(error: CarouselError) -> str:
    """One line: what happened, and what to do at a terminal."""
    happened, _, advice = str(error).partition(MARK)
    known = ADVICE_BY_CODE.get(error.code)
    own = known or next((text for kind, text in ADVICE.items() if isinstance(error, kind)), advice)
    happened = happened.rstrip(" .")
    return f"{happened}: {own}" if own else happened
