"""What the analyses send: request ids drawn from a seed, so that a run can be made again, key for key."""

import random

LOWEST_KEY, HIGHEST_KEY = 100_000, 999_999  # six digits, as the front door draws them itself

KEY_HEADER = "X-Key"
ROUTE_BY = f"header:{KEY_HEADER}"


def six_digit_keys(seed: int, count: int, stream: int = 0) -> list[int]:
    """`count` independent ids, the same for the same seed and stream on every machine; streams share nothing."""
    chance = random.Random(f"{seed}/{stream}")
    return [chance.randint(LOWEST_KEY, HIGHEST_KEY) for _ in range(count)]
