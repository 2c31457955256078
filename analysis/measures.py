"""How even a load is, and whether what was counted agrees with what was to be expected. Pure arithmetic.

The chi-squared test asks: if every key went to a replica by these exact shares, how often would chance alone give
counts as far off as these, or farther? That is the p-value. It is uniform between 0 and 1 when the shares are right, so
a value below ALPHA once in a hundred runs is nothing; far below, the shares are wrong.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the requests of each replica. `std` is the population's; `max_over_mean` is 1 for a perfect balance."""

    mean: float
    std: float
    least: int
    most: int
    max_over_mean: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pearson's statistic, its degrees of freedom and p-value."""

    chi_squared: float
    freedom: int
    p_value: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie (the nearest rank); 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def spread(counts: Sequence[int]) -> Spread:
    """Raises ValueError without any count."""
    if not counts:
        raise ValueError("no counts")
    mean = sum(counts) / len(counts)
    std = math.sqrt(sum((count - mean) ** 2 for count in counts) / len(counts))
    return Spread(mean, std, min(counts), max(counts), max(counts) / mean if mean else 1.0)


def agreement(counts: Mapping[str, int], shares: Mapping[str, float]) -> Agreement:
    """Of counts with the exact shares of the same names, which add up to 1.

    A share of 0 is no degree of freedom; a count where nothing may be makes the p-value 0.
    """
    total = sum(counts.values())
    expected = {name: total * share for name, share in shares.items() if share > 0}
    if any(count for name, count in counts.items() if name not in expected):
        return Agreement(math.inf, max(len(expected) - 1, 1), 0.0)
    statistic = sum((counts.get(name, 0) - wanted) ** 2 / wanted for name, wanted in expected.items() if wanted)
    freedom = len(expected) - 1
    return Agreement(statistic, freedom, chi_squared_tail(statistic, freedom))


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """P(X ≥ statistic) for a chi-squared X: the regularised upper gamma function Q(freedom / 2, statistic / 2).

    Exact for whole degrees of freedom, by Q(a + 1, x) = Q(a, x) + xᵃ e⁻ˣ / Γ(a + 1) from Q(1, x) = e⁻ˣ or
    Q(1/2, x) = erfc(√x) (Abramowitz and Stegun 26.4.4, 26.4.5); all terms are positive, so nothing cancels.
    """
    if freedom < 1 or statistic <= 0:
        return 1.0
    x = statistic / 2
    a, tail = (1.0, math.exp(-x)) if freedom % 2 == 0 else (0.5, math.erfc(math.sqrt(x)))
    while a < freedom / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(tail, 1.0)
