"""An alert's line → what its page shows: figures against what is usual, what had been quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from detector.console import charts
from detector.console.texts import Words
from detector.store.alert_queries import AlertView

_FACTS = (
    "local_time", "rest_day", "share_of_activity", "share_of_such_days_worked", "branch",
    "own_share_of_days", "peer_share_of_days", "bank_share_of_days", "likelihood_ratio_log10",
    "rule", "n_days",
)  # fmt: skip
_SHARES = frozenset(name for name in _FACTS if "share" in name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One detector's figures: ``bands`` are (who, low, high, chart), ``facts`` (name, value)."""

    detector: str
    quantity: str
    window: str
    observed: int | float | None
    bands: tuple[tuple[str, str, Markup], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version and what had grown since the one before."""

    number: int
    time: str
    score: float
    severity: str
    n_customers: int
    n_records: int
    joined: tuple[str, ...]


def comparisons(content: dict[str, Any], t: Words) -> list[Comparison]:
    """Return the figures of every detector that fired, the leading one first."""
    evidence = content["evidence"]
    also = evidence.get("also", {})
    pairs = [(content["detector"], evidence), *also.items()]
    return [_comparison(name, numbers, t) for name, numbers in pairs]


def _comparison(name: str, numbers: dict[str, Any], t: Words) -> Comparison:
    count = {**numbers, **numbers.get("count", {})}
    observed = count.get("observed")
    ranges = [(who, count[key]) for who, key in _RANGES if key in count]
    if not ranges and isinstance(count.get("expected"), int | float):
        ranges = [("alert.yourself", (0, count["expected"]))]
    highest = max([observed or 0, *(edge for _, (_, edge) in ranges)]) * 1.08
    bands = tuple(
        (t(who), _range(t, low, high), _band(t, (low, high), observed or 0, highest))
        for who, (low, high) in ranges
    )
    facts = [(t.of("fact", key), _fact(key, count[key], t)) for key in _FACTS if _has(count, key)]
    facts += [(t.of("field", key), t.number(n)) for key, n in count.get("new_values", {}).items()]
    window = t.of("window", count.get("window"))
    return Comparison(
        name, t.of("quantity", _quantity(name, count)), window, observed, bands, tuple(facts)
    )


_RANGES = (("alert.yourself", "usual_range"), ("alert.peers", "peer_range"))


def _quantity(name: str, count: dict[str, Any]) -> str:
    return str(count.get("quantity") or f"of_{name}")


def _has(count: dict[str, Any], key: str) -> bool:
    return count.get(key) is not None


def _range(t: Words, low: float, high: float) -> str:
    return f"{t.number(low)}–{t.number(high)}"


def _band(t: Words, span: tuple[float, float], observed: float, highest: float) -> Markup:
    label = t("alert.band_label", observed=t.number(observed), usual=_range(t, *span))
    return charts.band(span, observed, highest, label)


def _fact(key: str, value: Any, t: Words) -> str:
    if isinstance(value, bool):
        return t("word.yes" if value else "word.no")
    if key in _SHARES:
        return f"{value * 100:.1f} %"
    return t.of("rule", value) if key == "rule" else str(value)


def contributions(content: dict[str, Any]) -> list[tuple[str, float, bool, Markup]]:
    """Return (detector, surprise, fired, bar), most surprising first."""
    said = content["contributions"]
    highest = max((part["surprise"] for part in said), default=0) or 1
    return [
        (
            part["detector"],
            part["surprise"],
            part["detector"] in content["detectors"],
            charts.bar(
                part["surprise"] / highest,
                "fired" if part["detector"] in content["detectors"] else "faint",
                f"{part['detector']} {part['surprise']:.2f}",
            ),
        )
        for part in said
    ]


def quiet_if(content: dict[str, Any], t: Words) -> list[str]:
    """Return what would have kept the alert away, as far as the evidence tells."""
    found = []
    evidence = content["evidence"]
    for name, numbers in [(content["detector"], evidence), *evidence.get("also", {}).items()]:
        count = {**numbers, **numbers.get("count", {})}
        if "usual_range" in count:
            found.append(
                t(
                    "quiet.count",
                    quantity=t.of("quantity", _quantity(name, count)),
                    high=t.number(count["usual_range"][1]),
                    observed=t.number(count["observed"]),
                    window=t.of("window", count.get("window")),
                )
            )
        elif f"quiet.{name}" in t.names():
            found.append(t(f"quiet.{name}"))
    if evidence.get("n_unexplained_customers"):
        found.append(t("quiet.explained", n=t.number(evidence["n_unexplained_customers"])))
    return found


def versions(alert: AlertView) -> list[Version]:
    """Return the versions of the stream that is shown, oldest first, with who joined in each."""
    stream = next(v["stream"] for v in alert.versions if v["fields"] == alert.fields)
    found, known = [], frozenset[str]()
    for line in alert.versions:
        if line["stream"] != stream:
            continue
        content = line["fields"]
        joined = tuple(name for name in content["detectors"] if name not in known)
        known |= set(content["detectors"])
        found.append(
            Version(
                content["version"],
                content["time"],
                content["score"],
                content["severity"],
                content["n_customers"],
                content["n_records"],
                joined,
            )
        )
    return found


def last_reason(alert: AlertView) -> str:
    """Return what was said to the newest verdict."""
    return str(alert.verdicts[-1]["reason"]) if alert.verdicts else ""
