"""Where reading starts, as it is typed: `--from beginning|end|OFFSET|-LAST|TIME`."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Kind = Literal["beginning", "end", "offset", "last", "time"]

WORDS: Final[dict[str, "Kind"]] = {"beginning": "beginning", "earliest": "beginning", "end": "end", "latest": "end"}
UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
HELP: Final = (
    "beginning, end, an offset, -N (the last N of each partition), -5m (that long ago: s, m, h, d), "
    "a time such as 2026-11-21T17:00 (local, or with Z), @MILLISECONDS"
)


class BadStart(ValueError):
    """The text says what can be given."""


@dataclass(frozen=True, slots=True)
class Start:
    """`number`: an offset, how many from the end, or milliseconds since 1970; 0 where the kind says it all."""

    kind: Kind
    number: int = 0


BEGINNING: Final = Start("beginning")
END: Final = Start("end")


def looks_like_one(text: str) -> bool:
    """Whether kcat's users mean it by -o, which is its flag for where to begin."""
    return text in WORDS or re.fullmatch(r"-?\d{1,18}", text) is not None


def start_of(text: str, now_ms: int) -> Start:
    """`now_ms` is where "-5m" counts from. Raises BadStart."""
    if text in WORDS:
        return Start(WORDS[text])
    if re.fullmatch(r"-?\d{1,18}", text):
        return Start("last", -int(text)) if text.startswith("-") else Start("offset", int(text))
    if match := re.fullmatch(r"-(\d{1,12})([smhd])", text):
        return Start("time", now_ms - int(match[1]) * UNITS_MS[match[2]])
    if re.fullmatch(r"@\d{1,18}", text):
        return Start("time", int(text[1:]))
    try:
        if not re.match(r"\d{4}-", text):  # fromisoformat takes more than anyone would mean
            raise ValueError
        return Start("time", int(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError):
        raise BadStart(f"{text!r} is none of: {HELP}") from None


def offset_of(start: Start, first: int, following: int, at_time: int | None) -> int:
    """The offset in a partition that holds [`first`, `following`). `at_time`: the first message at that time or later,
    None where there is none. Raises BadStart for an offset that is not there."""
    if start.kind == "offset" and not first <= start.number <= following:
        raise BadStart(f"offset {start.number} is not there: the partition holds {first} to {following}")
    of_kind = {
        "beginning": first,
        "end": following,
        "offset": start.number,
        "last": max(first, following - start.number),
        "time": following if at_time is None else at_time,
    }
    return of_kind[start.kind]
