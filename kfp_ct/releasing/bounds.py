"""Bounds that hold at every look at once, so that a release may be looked at as often as one likes.

Differences of means: the one-sided normal mixture bound (Robbins 1970), with the variance estimated: an asymptotic
confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52, 2024). Distribution functions: Howard and Ramdas, "Sequential estimation
of quantiles", Bernoulli 28, 2022, corollary 2.
"""

import math


def radius(error: float, rows: float, first: float, level: float) -> float:
    """Returns how far the mean of a difference may lie below what was found, at any look, but for a probability.

    With t rows seen, eta = r t, and x^2 = 2 log(1 + sqrt(1 + eta) / (2 level)), it is x sqrt((1 + eta) / eta)
    standard errors. It is tightest, by the choice of r, where `first` rows were seen.

    Args:
        error: Standard error of the difference now.
        rows: Rows that it comes from (of two samples: n m / (n + m)).
        first: Rows at which the first look is.
        level: Probability of ever being wrong.
    """
    if rows <= 0:
        return math.inf
    tightest = -2 * math.log(level)
    eta = (tightest + math.log(tightest + 1)) * rows / first
    return error * math.sqrt(2 * (1 + eta) / eta * math.log(1 + math.sqrt(1 + eta) / (2 * level)))


def distribution_radius(rows: int, level: float) -> float:
    """Returns how far an empirical distribution function may be from the true one, anywhere, at any look."""
    if rows < 1:
        return math.inf
    return 0.85 * math.sqrt((math.log(math.log(math.e * rows)) + 0.8 * math.log(1612 / level)) / rows)
