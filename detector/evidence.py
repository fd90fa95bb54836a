"""The numbers behind an alert: what was seen, what was expected, what colleagues do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy.special import betainc

from detector.detections import CountEvidence, Detection


def usual_range(mean: float, dispersion: float) -> tuple[int, int]:
    """Return the 5 % and 95 % quantiles of a negative binomial.

    Args:
        mean: expected count, > 0.
        dispersion: variance = mean + dispersion * mean**2.

    >>> usual_range(3.0, 0.5)
    (0, 8)
    """
    r = 1.0 / max(dispersion, 1e-3)
    p = r / (r + max(mean, 1e-6))
    return _quantile(0.05, r, p), _quantile(0.95, r, p)


def _quantile(share: float, r: float, p: float) -> int:
    """Return the smallest k with P(X <= k) = I_p(r, k + 1) >= share, by bisection."""
    low, high = -1, 1
    while betainc(r, high + 1.0, p) < share:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if betainc(r, middle + 1.0, p) < share:
            low = middle
        else:
            high = middle
    return high


def ranges_of(count: CountEvidence) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the actor's and the peers' usual range of a count."""
    return (
        usual_range(count.expected, count.dispersion),
        usual_range(count.peer_expected, count.peer_dispersion),
    )


def clock_of(bin_index: int) -> str:
    """Return the wall time at which a quarter of an hour begins.

    >>> clock_of(93)
    '23:15'
    """
    return f"{bin_index // 4:02d}:{bin_index % 4 * 15:02d}"


def evidence_of(found: Detection) -> dict[str, Any]:
    """Return the leading detector's numbers, then those of the others that fired."""
    lead, *others = found.fired
    evidence = {
        **_numbers(lead, found),
        "n_customers_30d": found.n_customers_30d,
        "n_events_30d": found.n_events_30d,
        "n_records_30d": found.n_records_30d,
        "n_unexplained_customers": found.n_unexplained,
    }
    also = {name: _numbers(name, found) for name in others}
    return {**evidence, "also": also} if also else evidence


def _numbers(name: str, found: Detection) -> dict[str, Any]:
    """Return one detector's numbers, rounded for people."""
    special = _SPECIAL.get(name)
    if special is not None and (name != "account" or found.account.rule is not None):
        return special(found)
    if name in found.counts:
        return _count(found.counts[name])
    return {"window": "1d", "observed": found.n_events}


def _count(count: CountEvidence) -> dict[str, Any]:
    usual, peers = ranges_of(count)
    return {
        "window": count.window,
        "quantity": count.quantity,
        "observed": count.observed,
        "expected": round(count.expected, 2),
        "usual_range": list(usual),
        "peer_range": list(peers),
    }


def _hours(found: Detection) -> dict[str, Any]:
    hours = found.hours
    return {
        "window": "1d",
        "local_time": clock_of(hours.bin_index),
        "rest_day": hours.rest_day,
        "share_of_activity": hours.share,
        "share_of_such_days_worked": hours.active_share,
        "observed": hours.n_events,
        "n_customers": hours.n_customers,
    }


def _branch(found: Detection) -> dict[str, Any]:
    branch = found.branch
    return {
        "window": "1d",
        "branch": branch.branch,
        "observed": branch.n_customers,
        "expected": branch.expected,
        "own_share_of_days": branch.share,
        "peer_share_of_days": branch.peer_share,
        "bank_share_of_days": branch.bank_share,
    }


def _drip(found: Detection) -> dict[str, Any]:
    drip = found.drip
    return {
        "window": f"{drip.n_days} active days",
        "quantity": drip.quantity,
        "n_days": drip.n_days,
        "observed": drip.observed,
        "expected": round(drip.expected, 1),
        "usual_range": list(usual_range(drip.expected, drip.dispersion)),
        "peer_expected": drip.peer_expected,
    }


def _unfamiliar(found: Detection) -> dict[str, Any]:
    news = found.unfamiliar.new_values
    return {
        "window": "1d",
        "observed": sum(news.values()),
        "new_values": dict(news),
        "likelihood_ratio_log10": round(found.unfamiliar.likelihood, 2),
    }


def _repeat(found: Detection) -> dict[str, Any]:
    return {
        "window": "14d",
        "observed": found.repeat.n_days,
        "expected": found.repeat.own_rate,
        "peer_expected": found.repeat.peer_rate,
    }


def _account(found: Detection) -> dict[str, Any]:
    """Return the rule that was broken, and the count that stands out beside it."""
    rule = {"window": "1d", "rule": found.account.rule, "observed": found.account.n_days}
    count = found.counts.get("account")
    return rule if count is None else {**rule, "count": _count(count)}


_SPECIAL: dict[str, Callable[[Detection], dict[str, Any]]] = {
    "off_hours": _hours,
    "cross_branch": _branch,
    "unfamiliar": _unfamiliar,
    "slow_drip": _drip,
    "repeat_target": _repeat,
    "account": _account,
}
