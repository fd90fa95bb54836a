"""Upper tail of the negative binomial, in powers of ten, as a kernel."""

from __future__ import annotations

import math

from detector.compiled import aside, kernel, part

LN10 = math.log(10.0)
MIN_DISPERSION = 1e-3  # below it the law is Poisson for every practical purpose
MIN_MEAN = 1e-6
_MAX_TERMS = 500
_TINY = 1e-300
_CONVERGED = 1e-12


@kernel
def log_gamma(x: float) -> float:
    """Return ln Γ(x) for x > 0 to about 1e-10.

    Our own, because the compiler's and the interpreter's may differ in the last bit.

    Source:
        Stirling's series, DLMF 5.11.1, after shifting x above 10.

    >>> round(log_gamma(5.0), 9) == round(math.log(24.0), 9)
    True
    """
    shift = 0.0
    while x < 10.0:
        shift -= math.log(x)
        x += 1.0
    y = 1.0 / (x * x)
    series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / x
    return shift + (x - 0.5) * math.log(x) - x + 0.9189385332046727 + series


@part
def _beta_fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of the incomplete beta function, DLMF 8.17.22 (Lentz)."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    h = d
    for term in range(1, _MAX_TERMS):
        m = float(term)
        even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        d = 1.0 + even * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + even / (c if abs(c) > _TINY else _TINY)
        h *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        d = 1.0 + odd * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + odd / (c if abs(c) > _TINY else _TINY)
        step = d * c
        h *= step
        if abs(step - 1.0) < _CONVERGED:
            break
    return h


@kernel
def upper_tail_surprise(count: int, mean: float, dispersion: float) -> float:
    """Score how surprising a count is against a negative binomial.

    Args:
        count: observed count, >= 0.
        mean: expected count, > 0.
        dispersion: variance = mean + dispersion * mean**2, >= 0.

    Returns:
        ``-log10(P(X > count) + P(X = count) / 2)``, >= 0, higher is more surprising;
        0 where the count is not above the mean: nobody asks about quiet days.

    Source:
        P(X >= k) = I_p(k, r), p = mean / (mean + r), r = 1 / dispersion, DLMF 8.17.24;
        the half weight of the observed value is Lancaster's mid-p.

    >>> round(upper_tail_surprise(40, 3.0, 0.001), 1)
    30.1
    >>> upper_tail_surprise(3, 3.0, 0.5)
    0.0
    """
    return 0.0 if count <= mean else _tail_above_mean(count, mean, dispersion)


@aside
def _tail_above_mean(count: int, mean: float, dispersion: float) -> float:
    """Compute the tail where there is something to say; much code, in many places."""
    mean = max(mean, MIN_MEAN)
    r = 1.0 / max(dispersion, MIN_DISPERSION)
    p = mean / (mean + r)
    k = float(count)
    log_front = log_gamma(k + r) - log_gamma(k) - log_gamma(r)
    log_front += k * math.log(p) + r * math.log(r / (mean + r))
    in_tail = max(_beta_fraction(p, k, r) - 0.5, 0.5)
    return max(-(log_front + math.log(in_tail / k)) / LN10, 0.0)
