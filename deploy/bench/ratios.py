"""Percentiles, and what paired runs say: the median of their ratios and the interval that it lies in. Pure."""

import math
from collections.abc import Sequence
from statistics import median

from msgspec import Struct

CONFIDENCE = 0.95


class Estimate(Struct, frozen=True, kw_only=True):
    """A median and the interval that holds the true one with `confidence`; too few values give no interval."""

    median: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None

    def told(self, form: str = ".2f") -> str:
        """The median with its interval, in words."""
        if self.low is None or self.high is None or self.confidence is None:
            return f"{self.median:{form}} (too few runs for an interval)"
        return f"{self.median:{form}} ({self.confidence:.1%} interval {self.low:{form}} to {self.high:{form}})"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("there are no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The median with its interval by order statistics, which assumes nothing about how the values are spread.

    The interval reaches from the k-th smallest to the k-th largest value, with the largest k for which it holds the
    true median with at least `confidence`; the confidence it really has is told. Raises ValueError for no values.
    """
    if not values:
        raise ValueError("there are no values")
    ordered = sorted(values)
    covered = {k: coverage(len(ordered), k) for k in range(1, len(ordered) // 2 + 1)}
    ranks = [k for k, share in covered.items() if share >= confidence]
    if not ranks:
        return Estimate(median=median(ordered))
    k = max(ranks)
    return Estimate(median=median(ordered), low=ordered[k - 1], high=ordered[-k], confidence=covered[k])


def coverage(count: int, k: int) -> float:
    """How likely the median lies between the k-th smallest and the k-th largest of so many independent values."""
    outside: float = sum(math.comb(count, i) for i in range(k)) / 2**count
    return 1 - 2 * outside
