"""Which partition of an internal topic a key belongs to: Java's String.hashCode modulo the count of partitions.

Every client library and tool that computes it (and every Kafka that may have written the topic before) must agree, so
this is Java's, with its UTF-16 units, its overflow at 32 bits and `Utils.abs`, which maps the smallest int to 0.
"""


def string_hash(text: str) -> int:
    """Java's `text.hashCode()`: a signed 32-bit number."""
    value = 0
    raw = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(raw), 2):
        value = value * 31 + (raw[at] << 8 | raw[at + 1]) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def partition_of(key: str, partitions: int) -> int:
    """The partition of `__consumer_offsets` (of a group's id) or `__transaction_state` (of a transactional id)."""
    found = string_hash(key)
    return (0 if found == _SMALLEST else abs(found)) % partitions


_SMALLEST = -(1 << 31)
