"""Prometheus's text format (0.0.4): families of samples, their labels escaped. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

Sample = tuple[str, float]
"""What stands behind the family's name (a suffix, labels, both or nothing), and a value."""


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """One family, whole, as the format wants it; "" without samples. `text` and names are ours, and need no escape."""
    lines = [f"{name}{labels} {value}" for labels, value in samples]
    return "\n".join((f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines, "")) if lines else ""


def gauge(name: str, text: str, value: float) -> str:
    return family(name, "gauge", text, [("", value)])


def labels(values: Mapping[str, str | int]) -> str:
    """`{name="value",…}`. Group ids, for one, are whatever clients made them. "" without values."""
    told = ",".join(f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in values.items())
    return f"{{{told}}}" if told else ""


_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
