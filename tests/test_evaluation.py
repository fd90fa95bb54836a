"""Evaluation: hand-made alerts and truth whose recall, precision and delay are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SourceError
from detector.evaluation import BudgetResult, Evaluation, evaluate


def alert(alert_id: str, user: str, day: int, score: float, **more: Any) -> dict[str, Any]:
    """An alert line of March 2026, as much of it as counts."""
    time = f"2026-03-{day:02d}T10:00:00.000+08:00"
    return {"alert_id": alert_id, "user_id": user, "time": time, "score": score, **more}


def incident(kind: str, users: list[str], first: int, last: int) -> dict[str, Any]:
    """An incident of March 2026."""
    days = {"start": f"2026-03-{first:02d}", "end": f"2026-03-{last:02d}"}
    return {"id": 0, "kind": kind, "users": users, "event_ids": [], **days}


TRUTH = {
    "first_scored_day": "2026-03-02",
    "days": 5,
    "incidents": [
        incident("bulk_read", ["bad1"], 2, 2),
        incident("bulk_read", ["bad2", "bad3"], 3, 5),
        incident("stalking", ["bad4"], 2, 6),
        incident("stalking", ["bad5"], 4, 4),
    ],
}
ALERTS = [
    alert("a1", "bad1", 2, 6.0, version=1),
    alert("a1", "bad1", 2, 9.0, version=2),
    alert("g1", "good1", 2, 7.0),
    alert("b3", "bad3", 4, 5.0),  # one of two users, on the second day
    alert("g2", "good2", 4, 8.0),
    alert("d4", "bad4", 6, 4.0),  # on the last day
    alert("e5", "bad5", 5, 9.0),  # the day after it ended
    alert("h1", "bad1", 1, 9.0),  # before the first scored day
    alert("h2", "bad1", 7, 9.0),  # after the last
]


def evaluated(
    folder: Path, alerts: list[dict[str, Any]], truth: Any, budgets: tuple[int, ...]
) -> Evaluation:
    """Write both files and evaluate them."""
    folder.mkdir(exist_ok=True)
    (folder / "alerts.jsonl").write_bytes(b"".join(orjson.dumps(a) + b"\n" for a in alerts))
    (folder / "truth.json").write_bytes(orjson.dumps(truth))
    return evaluate(folder / "alerts.jsonl", folder / "truth.json", budgets)


def at(budget: int, folder: Path, alerts: list[dict[str, Any]] | None = None) -> BudgetResult:
    """The result at one budget."""
    return evaluated(folder, ALERTS if alerts is None else alerts, TRUTH, (budget,)).budgets[0]


def test_recall_counts_incidents_whose_people_are_among_the_days_best(tmp_path: Path) -> None:
    """At one a day good2 hides bad3; at two all but the late alert on bad5 are caught."""
    assert [(at(n, tmp_path).n_caught, at(n, tmp_path).recall) for n in (1, 2, 20)] == [
        (2, 0.5), (3, 0.75), (3, 0.75),
    ]  # fmt: skip


def test_precision_is_the_share_of_read_alerts_on_somebody_bad_that_day(tmp_path: Path) -> None:
    """At two a day six are read, three of them rightly; bad5 a day late is a false alarm."""
    assert at(2, tmp_path).precision == 3 / 6


def test_precision_on_incident_days_leaves_quiet_days_out(tmp_path: Path) -> None:
    """On quiet days every alert is false, however good the detector."""
    truth = {**TRUTH, "incidents": TRUTH["incidents"][:1]}
    alerts = [alert("a", "bad1", 2, 5.0), alert("b", "good1", 2, 4.0), alert("c", "good2", 3, 4.0)]
    row = evaluated(tmp_path, alerts, truth, (5,)).budgets[0]

    assert (row.precision, row.precision_incident_days) == (1 / 3, 1 / 2)


def test_delay_counts_days_from_the_first_bad_day_to_the_first_alert_read(tmp_path: Path) -> None:
    """Delays are 0 (bad1), 1 (bad3) and 4 (bad4); missed incidents have none."""
    assert at(2, tmp_path).median_delay_days == 1.0


def test_nothing_caught_has_no_delay(tmp_path: Path) -> None:
    """Zero days would read as the best of results."""
    row = at(5, tmp_path, [])

    assert (row.n_caught, row.median_delay_days, row.precision) == (0, None, 0.0)


def test_recall_is_told_by_kind(tmp_path: Path) -> None:
    """A mean over kinds hides what is never caught."""
    assert at(2, tmp_path).by_kind == {"bulk_read": (2, 2), "stalking": (1, 2)}


def test_versions_of_an_alert_take_one_place_with_their_highest_score(tmp_path: Path) -> None:
    """Otherwise an alert with ten versions would fill the day's list alone."""
    alerts = [alert("a", "good1", 2, 5.0 + 0.1 * v) for v in range(10)]
    alerts += [alert("b", "bad1", 2, 4.0), alert("c", "good2", 2, 3.0)]
    row = at(2, tmp_path, alerts)

    assert (row.n_caught, row.precision) == (1, 0.5)


@pytest.mark.parametrize("scores", [[9.0, 1.0], [1.0, 9.0]])
def test_a_version_with_a_lower_score_takes_nothing_back(
    scores: list[float], tmp_path: Path
) -> None:
    """The list is ranked by the best that was said of a day, in whatever order."""
    alerts = [alert("a", "bad1", 2, score) for score in scores] + [alert("g", "good1", 2, 5.0)]

    assert at(1, tmp_path, alerts).n_caught == 1


def test_equal_scores_are_ranked_by_id(tmp_path: Path) -> None:
    """The order in the file is chance; a result must not depend on it."""
    alerts = [alert("b", "bad1", 2, 5.0), alert("a", "good1", 2, 5.0)]
    found = [at(1, tmp_path, order).n_caught for order in (alerts, alerts[::-1])]

    assert found == [0, 0]


def test_alerts_per_day_are_spread_over_all_days(tmp_path: Path) -> None:
    """A day without alerts is a day on which the team read none."""
    assert at(2, tmp_path).alerts_per_day == 6 / 5


def test_budgets_come_back_in_rising_order(tmp_path: Path) -> None:
    """Tables are read from left to right, whatever the order of the options."""
    found = evaluated(tmp_path, ALERTS, TRUTH, (20, 1, 5))

    assert [row.budget for row in found.budgets] == [1, 5, 20]
    assert (found.n_incidents, found.n_days, found.kinds) == (4, 5, ("bulk_read", "stalking"))


def test_the_interval_is_that_of_a_binomial_share(tmp_path: Path) -> None:
    """Of 100 incidents 50 caught: 5 % and 95 % quantiles of Binomial(100, 1/2) / 100."""
    many = [incident("k", [f"bad{i}"], 2, 2) for i in range(100)]
    alerts = [alert(f"a{i}", f"bad{i}", 2, 5.0) for i in range(50)]
    row = evaluated(tmp_path, alerts, {**TRUTH, "incidents": many}, (50,)).budgets[0]

    assert (row.recall_low, row.recall_high) == (
        pytest.approx(0.42, abs=0.011),
        pytest.approx(0.58, abs=0.011),
    )


@given(st.lists(st.booleans(), max_size=12))
def test_the_interval_holds_the_recall(
    tmp_path_factory: pytest.TempPathFactory, caught: list[bool]
) -> None:
    """Also with none, all or no incidents."""
    bad = [incident("k", [f"bad{i}"], 2, 2) for i in range(len(caught))]
    alerts = [alert(f"a{i}", f"bad{i}", 2, 5.0) for i, hit in enumerate(caught) if hit]
    folder = tmp_path_factory.getbasetemp() / "interval"
    row = evaluated(folder, alerts, {**TRUTH, "incidents": bad}, (20,)).budgets[0]

    assert 0.0 <= row.recall_low <= row.recall <= row.recall_high <= 1.0


def test_the_same_files_give_the_same_figures(tmp_path: Path) -> None:
    """The bootstrap is seeded."""
    runs = [evaluated(tmp_path, ALERTS, TRUTH, (1, 5)).to_json() for _ in range(2)]

    assert runs[0] == runs[1]


def test_the_result_is_json(tmp_path: Path) -> None:
    """`detector evaluate --json` prints it."""
    content = orjson.loads(orjson.dumps(evaluated(tmp_path, ALERTS, TRUTH, (5,)).to_json()))

    assert content["budgets"][0]["by_kind"] == {"bulk_read": [2, 2], "stalking": [1, 2]}


BAD_LINES = {
    "not JSON": b"alert!",
    "cut": orjson.dumps(ALERTS[0])[:-9],
    "a number": b"7",
    "a list": b"[]",
    "no id": orjson.dumps({k: v for k, v in ALERTS[0].items() if k != "alert_id"}),
    "no score": orjson.dumps({k: v for k, v in ALERTS[0].items() if k != "score"}),
    "score is text": orjson.dumps({**ALERTS[0], "score": "high"}),
    "score is null": orjson.dumps({**ALERTS[0], "score": None}),
    "time is no date": orjson.dumps({**ALERTS[0], "time": "yesterday at ten"}),
    "time is a number": orjson.dumps({**ALERTS[0], "time": 1_774_230_000}),
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "deep": b"[" * 5_000,
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_alert_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    """A figure from half a file would be believed."""
    alerts, truth = tmp_path / "alerts.jsonl", tmp_path / "truth.json"
    alerts.write_bytes(orjson.dumps(ALERTS[0]) + b"\n" + BAD_LINES[name] + b"\n")
    truth.write_bytes(orjson.dumps(TRUTH))
    with pytest.raises(SourceError, match=r"alerts\.jsonl:2: is no alert"):
        evaluate(alerts, truth)


BAD_TRUTHS = {
    "not JSON": b"truth",
    "not UTF-8": b"\xff",
    "a list": b"[]",
    "no incidents": orjson.dumps({"first_scored_day": "2026-03-02", "days": 5}),
    "no first day": orjson.dumps({"days": 5, "incidents": []}),
    "days is null": orjson.dumps({**TRUTH, "days": None}),
    "days is too large": orjson.dumps({**TRUTH, "days": 10**15}),
    "days is negative": orjson.dumps({**TRUTH, "days": -1}),
    "first day is too late": orjson.dumps({**TRUTH, "first_scored_day": "9999-12-30"}),
    "first day is no date": orjson.dumps({**TRUTH, "first_scored_day": "Monday"}),
    "users is a number": orjson.dumps(
        {**TRUTH, "incidents": [{**incident("k", [], 2, 2), "users": 7}]}
    ),
    "users is text": orjson.dumps(
        {**TRUTH, "incidents": [{**incident("k", [], 2, 2), "users": "bad1"}]}
    ),
    "start is a number": orjson.dumps(
        {**TRUTH, "incidents": [{**incident("k", [], 2, 2), "start": 20260302}]}
    ),
    "ends before it starts": orjson.dumps({**TRUTH, "incidents": [incident("k", ["u"], 5, 2)]}),
}


@pytest.mark.parametrize("name", BAD_TRUTHS)
def test_a_bad_truth_file_is_named(name: str, tmp_path: Path) -> None:
    """One sentence: which file, and what writes a good one."""
    alerts, truth = tmp_path / "alerts.jsonl", tmp_path / "truth.json"
    alerts.write_bytes(orjson.dumps(ALERTS[0]) + b"\n")
    truth.write_bytes(BAD_TRUTHS[name])
    with pytest.raises(SourceError, match=r"truth\.json: is no truth file.*detector simulate"):
        evaluate(alerts, truth)


@pytest.mark.parametrize("missing", ["alerts.jsonl", "truth.json"])
def test_a_missing_file_is_named(missing: str, tmp_path: Path) -> None:
    """Which of the two."""
    evaluated(tmp_path, ALERTS, TRUTH, (5,))
    (tmp_path / missing).unlink()
    with pytest.raises(SourceError, match=rf"{missing}: cannot be read \(No such file"):
        evaluate(tmp_path / "alerts.jsonl", tmp_path / "truth.json")
