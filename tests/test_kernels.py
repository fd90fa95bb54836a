"""Each compiled kernel equals its naive twin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.hashing import hash_strings
from detector.limits import widths_of
from detector.scoring.calibration import calibrate
from detector.scoring.negative_binomial import log_gamma, upper_tail_surprise
from detector.scoring.networks import network_keys
from detector.scoring.off_hours import quarter_share
from detector.scoring.reasons import is_held, key_set
from detector.state.days import customers_30d
from detector.state.layout import (
    ARENA_TOP,
    CHUNK_CLASS,
    CHUNK_ROWS,
    COUNTS,
    COUNTS_1H,
    COUNTS_10M,
    CUSTOMERS_1D,
    DAY,
    EVENTS,
    N_BASELINE,
    RECORDS_1D,
    RING_CUSTOMERS,
    RING_EVENTS,
    RING_RECORDS,
    VOLUME_1D,
    WEIGHTS,
    empty_tables,
)
from detector.state.tables import find_actor
from detector.timestamps import NOT_A_TIME, parse_iso
from tests import naive
from tests.streams import MONDAY, event, open_days, plan_of, run

ZONE = "Asia/Shanghai"
TEN_MINUTES_NS, HOUR_NS = 600 * 10**9, 3_600 * 10**9
PLAN = plan_of(min_score=30.0)


@st.composite
def one_actor(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One person, dense enough that windows fill, empty and meet late rows."""
    clock, events = MONDAY, []
    for number in range(draw(st.integers(1, 50))):
        clock += timedelta(seconds=draw(st.sampled_from([0, 1, 60, 599, 600, 601, 3_599, 3_600])))
        if draw(st.integers(0, 30)) == 0:
            clock += timedelta(days=draw(st.integers(1, 40)))
        late = timedelta(seconds=draw(st.sampled_from([0, 0, 0, 1, 500, 3_000, 7_000])))
        customer = draw(st.sampled_from([None, "c1", "c2", "c3", f"n{number}"]))
        action, records = draw(st.sampled_from([("read", 1), ("list", 30), ("export", 0)]))
        when = clock - late
        events.append(event(number, "u", when, customer=customer, action=action, records=records))
    return events


def ns(item: dict[str, Any]) -> int:
    """UTC nanoseconds of an event."""
    return int(datetime.fromisoformat(item["event_time"]).timestamp()) * 10**9


@pytest.mark.uncompiled
@given(one_actor())
def test_windows_equal_their_definition(events: list[dict[str, Any]]) -> None:
    """10 min, 1 h, local day and 30 days, counted from scratch over what has arrived."""
    actor, peaks = naive.Actor(), {}
    for item in events:
        t_ns = ns(item)
        volume = item["action"] != "read"
        actor.rows.append((t_ns, item["customer_id"], item["record_count"], volume))
        day = naive.local_day(t_ns, ZONE)
        for window, width in enumerate((TEN_MINUTES_NS, HOUR_NS)):
            counts = actor.window(t_ns, width)[1:]
            for quantity in range(3):
                key = (day, quantity * 3 + window)
                peaks[key] = max(peaks.get(key, 0), counts[quantity])
    _, steps, state = run(events, PLAN)
    assert not steps[0].rejects
    tables = state.tables
    slot = find_actor(tables.actors, int(tables.actors.user[0]))
    me = tables.actors.ints[slot]
    newest = max(row[0] for row in actor.rows)

    assert tuple(me[COUNTS_10M : COUNTS_10M + 4]) == actor.window(newest, TEN_MINUTES_NS)
    assert tuple(me[COUNTS_1H : COUNTS_1H + 4]) == actor.window(newest, HOUR_NS)
    assert customers_30d(me, tables.actors.ring[slot]) == actor.customers_30d(ZONE)
    for line in open_days(state)[0]:
        if line[DAY] >= 0:
            rows = [r for r in actor.rows if naive.local_day(r[0], ZONE) == line[DAY]]
            customers = {r[1] for r in rows} - {None}
            counts = line[COUNTS:]
            assert (line[EVENTS], counts[RECORDS_1D]) == (len(rows), sum(r[2] for r in rows))
            assert counts[CUSTOMERS_1D] == len(customers)
            assert counts[VOLUME_1D] == sum(r[2] for r in rows if r[3])
            for stat in (0, 1, 3, 4, 6, 7):
                assert counts[stat] == peaks[int(line[DAY]), stat]


def test_windows_outlive_every_move_of_the_tables() -> None:
    """Chunks packed, customers in other cells: whatever others bring, the counts are the same."""
    rng = np.random.default_rng(3)
    events, actors = [], [naive.Actor() for _ in range(900)]
    for number in range(16):
        for user, actor in enumerate(actors):
            late_s = int(rng.choice([0, 0, 0, 900]))
            when = MONDAY + timedelta(seconds=300 * number + user % 7 - late_s)
            customer = f"c{user}-{rng.integers(6)}"
            events.append(event(len(events), f"u{user}", when, customer=customer, records=2))
            actor.rows.append((ns(events[-1]), customer, 2, False))
    _, _, state = run(events, PLAN, range(0, len(events), 500))
    tables = state.tables
    n_rows = np.array(CHUNK_ROWS)[tables.actors.ints[: len(actors), CHUNK_CLASS]].sum()

    assert (
        tables.arena.time_ns.size > empty_tables(widths_of(PLAN.limits.watched)).arena.time_ns.size
    )
    assert tables.counts[ARENA_TOP] < 1.5 * n_rows
    for user, actor in enumerate(actors):
        slot = find_actor(tables.actors, int(hash_strings([f"u{user}"])[0]))
        newest = max(row[0] for row in actor.rows)
        for first, width in ((COUNTS_10M, TEN_MINUTES_NS), (COUNTS_1H, HOUR_NS)):
            counts = tables.actors.ints[slot, first : first + 4]
            assert tuple(counts) == actor.window(newest, width)


@given(one_actor())
def test_the_ring_of_30_days_equals_its_definition(events: list[dict[str, Any]]) -> None:
    """Events and records per local day are exact for the days still in the window."""
    _, _, state = run(events, PLAN)
    ring = state.tables.actors.ring[0]
    days = [naive.local_day(ns(item), ZONE) for item in events]
    for day in range(max(days) - 29, max(days) + 1):
        mine = [item for item, its in zip(events, days, strict=True) if its == day]
        assert ring[RING_EVENTS, day & 31] == len(mine)
        assert ring[RING_RECORDS, day & 31] == sum(item["record_count"] for item in mine)
    assert (ring[RING_CUSTOMERS] >= 0).all()


@pytest.mark.uncompiled
@given(st.integers(0, 3_000), st.floats(1e-3, 500.0), st.floats(0.0, 8.0))
def test_the_tail_equals_the_textbook(count: int, mean: float, dispersion: float) -> None:
    """Against scipy's distribution, as far as a float64 probability goes."""
    expected = naive.upper_tail(count, mean, dispersion)
    if expected > 250.0:
        assert upper_tail_surprise(count, mean, dispersion) > 250.0
        return

    assert upper_tail_surprise(count, mean, dispersion) == pytest.approx(
        expected, abs=1e-5, rel=1e-5
    )


@given(st.integers(0, 5_000), st.floats(1e-3, 500.0), st.floats(0.0, 8.0))
def test_more_is_never_less_surprising(count: int, mean: float, dispersion: float) -> None:
    """The score rises with the count, whatever the baseline."""
    low = upper_tail_surprise(count, mean, dispersion)
    high = upper_tail_surprise(count + 1, mean, dispersion)

    assert high >= low - 1e-9


@given(st.floats(1e-3, 1e6))
def test_log_gamma_obeys_its_recurrence(x: float) -> None:
    """Γ(x + 1) = x Γ(x)."""
    assert log_gamma(x + 1.0) == pytest.approx(log_gamma(x) + np.log(x), abs=1e-8, rel=1e-9)


@pytest.mark.uncompiled
@given(st.lists(st.integers(0, 65_535), min_size=96, max_size=96), st.integers(0, 95))
def test_the_share_of_quieter_quarters_equals_its_definition(
    learned: list[int], quarter: int
) -> None:
    """Own histogram and peers', blended by days of history."""
    hours = np.array(learned, dtype=np.uint16)
    baseline = np.zeros(N_BASELINE, dtype=np.float32)
    baseline[WEIGHTS] = 12.0
    busy = [
        12.0 / 16.0 / 65_535.0 * own + 4.0 / 16.0 * float(peer)
        for own, peer in zip(learned, PLAN.model.hours[0, 0], strict=True)
    ]
    got = quarter_share(hours, baseline, PLAN.model, 0, 0, quarter)

    assert got == pytest.approx(max(naive.quarter_share(busy, quarter), 1e-5), rel=1e-9)


@given(
    st.lists(st.floats(0.01, 2.0), min_size=1, max_size=8),
    st.lists(st.floats(0.0, 2.0), min_size=8, max_size=8),
    st.floats(-1.0, 30.0),
)
def test_calibration_equals_its_definition(
    widths: list[float], rises: list[float], raw: float
) -> None:
    """Knots, between knots, before the first and beyond the last."""
    x = np.cumsum([0.0, *widths])
    y = np.cumsum([0.0, *rises[: len(widths)]])

    assert calibrate(raw, x, y) == pytest.approx(naive.calibrated(raw, list(x), list(y)), abs=1e-9)


@pytest.mark.uncompiled
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001  the offset follows
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
)
def test_times_equal_the_standard_library(
    moment: datetime, offset_minutes: int, precision: str
) -> None:
    """The fast parser and datetime agree to the microsecond."""
    text = moment.isoformat(timespec=precision)
    sign = "-" if offset_minutes < 0 else "+"
    text += f"{sign}{abs(offset_minutes) // 60:02d}:{abs(offset_minutes) % 60:02d}"
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000

    assert parse_iso([text])[0] == expected


@given(st.text(max_size=40))
def test_what_is_no_time_is_not_taken_for_one(text: str) -> None:
    """Only texts that the standard library also reads are read."""
    if not text.isascii():
        return
    if parse_iso([text])[0] != NOT_A_TIME:
        datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T10:00:00", "2026-03-02T24:00:00Z", "2026-03-02T10:00:00+24:00",
     "2026-03-02T10:00:00.Z", "2026-03-02T10:00:00.1234567890Z", "2026-13-02T10:00:00Z", ""],
)  # fmt: skip
def test_odd_times_are_left_to_the_slow_path(text: str) -> None:
    """Forms that are wrong, or right but rare, are not guessed at."""
    assert parse_iso([text])[0] == NOT_A_TIME


@given(st.lists(st.text(st.sampled_from("0159.:af网"), max_size=20), max_size=8))
@pytest.mark.uncompiled
def test_an_address_stands_for_its_network(addresses: list[str]) -> None:
    """The key is that of the network's text, whatever the address looks like."""
    networks = [naive.network_of(address) for address in addresses]

    assert network_keys(addresses).tolist() == hash_strings(networks).tolist()


@given(st.sets(st.integers(1, 2**63 - 1)), st.lists(st.integers(0, 2**63 - 1)))
@pytest.mark.uncompiled
def test_a_key_is_held_if_it_was_put_in(held: set[int], keys: list[int]) -> None:
    """Whatever the keys are, and 0, "missing", never is."""
    asked = np.array([*keys, *held, 0], dtype=np.int64)
    table = key_set(np.array(sorted(held), dtype=np.int64))

    assert is_held(asked, table).tolist() == [key in held for key in asked.tolist()]
