"""How report and pictures write numbers and names."""

NARROW_SPACE = "\u202f"

KEYS_FROM = {"seeded": "keys by header, from a seed", "own": "the front door's own random ids"}


def number(value: float) -> str:
    """Whole, its thousands apart: 10 000."""
    return f"{value:,.0f}".replace(",", NARROW_SPACE)


def duration(seconds: float | None) -> str:
    """In the unit that one would say it in; None is `never`."""
    if seconds is None:
        return "never"
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if abs(seconds) < 0.01 else f"{seconds * 1e3:.0f} ms"
