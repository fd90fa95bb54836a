"""Each kernel of the detectors that remember people and customers equals its naive twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.compiled import opened
from detector.plan import LEAST_SHARE, build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.scoring.account import count_switch
from detector.scoring.combine import combine, remember_flagged
from detector.scoring.counts import busy_factor, expected_count, learn_counts
from detector.scoring.enumeration import count_order
from detector.scoring.off_hours import learn_hours, set_bin
from detector.scoring.repeat_target import level_of, reach_rate
from detector.scoring.slow_drip import learn_drip, score_drip
from detector.scoring.unfamiliar import fold_value, likelihood_ratio, own_chance
from detector.state import layout as s
from detector.state.days import count_customer, note_reason, start_day, was_seen_before
from tests import naive
from tests.streams import MONDAY, event, open_days, plan_of, run

# Parts of kernels have no way in from Python of their own.
_PARTS = (
    "count_switch", "combine", "remember_flagged", "busy_factor", "expected_count",
    "learn_counts", "count_order", "learn_hours", "set_bin", "level_of", "reach_rate",
    "learn_drip", "score_drip", "fold_value", "likelihood_ratio", "own_chance", "count_customer",
    "note_reason", "start_day", "was_seen_before",
)  # fmt: skip
for _part in _PARTS:
    globals()[_part] = opened(globals()[_part])


PLAN = plan_of(min_score=30.0)
MODEL, LIMITS = PLAN.model, PLAN.limits
CUSTOMERS, NEW = 5, 9  # counts that slow_drip adds up
small = st.floats(0.0, 60.0)


def blank_day(day: int = 20_000, kind: int = 0) -> tuple[s.I64, s.F64]:
    """An open day on which nothing has happened, and its scores."""
    days = s.empty_days(1, s.N_DAY)
    start_day(days, 0, day, kind)
    return days.ints[0], days.surprise[0]


def blank_actor() -> tuple[s.I64, s.F32]:
    """Integers and baseline of somebody new."""
    return np.zeros(s.N_INTS, dtype=np.int64), np.zeros(s.N_BASELINE, dtype=np.float32)


# -- customers, by day

looks = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 1, 2, 13, 14, 29, 30, 31, 32, 33, 50, -1]), st.booleans()),
    min_size=1,
    max_size=40,
)


@pytest.mark.uncompiled
@given(looks)
def test_days_of_a_customer_equal_a_set_of_days(rows: list[tuple[int, bool]]) -> None:
    """New today, new in a month, seen before, served, on how many days: from the list of days."""
    pairs, twin = s.empty_customers(1), naive.Looks()
    me, ring = np.zeros(s.N_INTS, dtype=np.int64), np.zeros((3, s.N_RING), dtype=np.int32)
    newest = 20_000
    for step, has_reason in rows:
        day = newest + step if twin.seen or step > 0 else newest
        newest = max(newest, day)
        me[s.RING_DAY] = newest
        expected = twin.newness(day)
        got = count_customer(pairs, 0, me, ring, day)
        twin.seen.add(day)
        if has_reason:
            is_first = note_reason(pairs, 0, day)
            assert is_first == (day not in twin.served)
            twin.served.add(day)

        assert got == expected
        assert was_seen_before(pairs, 0, day) == twin.seen_before(day)
        assert level_of(pairs, 0, day) == twin.level(day)


@given(
    st.lists(st.floats(0.0, 50.0, width=32), min_size=10, max_size=10), small, st.integers(2, 20)
)
def test_the_rate_of_a_level_is_that_of_all_levels_from_it_on(
    reached: list[float], days: float, level: int
) -> None:
    """Own and peers' customers a day, the peers' for fifteen days."""
    _, baseline = blank_actor()
    baseline[s.REACHED : s.REACHED_DAYS] = reached
    baseline[s.REACHED_DAYS] = days
    first = min(level, 11) - 2
    own, peers = sum(reached[first:]), float(MODEL.reach[0, first:].sum())
    expected = (own + 15.0 * peers) / (float(np.float32(days)) + 15.0)

    assert reach_rate(baseline, MODEL, 0, level) == pytest.approx(expected, rel=1e-6)


# -- numbers and devices in their order


@pytest.mark.uncompiled
@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 12, 13, 14, 25, 26, 100]), max_size=40))
def test_steps_in_order_equal_their_definition(numbers: list[int]) -> None:
    """Up and down, repeated numbers, steps that are too long, number 0."""
    (me, _), (day, _) = blank_actor(), blank_day()
    bits = [count_order(me, day, number) for number in numbers]

    assert day[s.COUNTS + s.ORDERED] == naive.ordered_rows(numbers)
    assert sum(bit != 0 for bit in bits) == naive.ordered_rows(numbers)


@pytest.mark.uncompiled
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 600, 1_799, 1_800, -900, 86_400]), st.integers(0, 3)),
        max_size=40,
    )
)
def test_changes_to_and_fro_equal_their_definition(steps: list[tuple[int, int]]) -> None:
    """Two devices, three, none, half an hour to the second, late rows."""
    (me, _), (day, _) = blank_actor(), blank_day()
    t_s, rows = 1_774_000_000, []
    for gap_s, device in steps:
        t_s += gap_s
        rows.append((t_s, device))
        count_switch(me, day, t_s * 10**9, device)

    assert day[s.COUNTS + s.SWITCHES] == naive.switches(rows)


# -- values of a person


@pytest.mark.uncompiled
@given(
    st.lists(st.sampled_from("abcd"), max_size=30), st.sampled_from("abcde"), st.floats(1e-4, 1.0)
)
def test_the_chance_of_a_value_equals_its_definition(
    past: list[str], value: str, bank: float
) -> None:
    """Pitman & Yor's rule from the list of what was used before; nothing at all included."""
    n_kinds, n_value = len(set(past)), past.count(value)

    assert own_chance(float(n_value), float(len(past)), float(n_kinds), bank) == pytest.approx(
        naive.own_chance(past, value, bank), rel=1e-12
    )


@given(st.floats(1e-4, 1.0), st.floats(1e-6, 1.0))
def test_the_likelihood_ratio_of_a_value_is_bounded_below_and_grows_with_the_banks_share(
    bank: float, own: float
) -> None:
    """One familiar value never clears more than nine tenths."""
    assert likelihood_ratio(bank / own) == pytest.approx(0.9 + 0.1 * bank / own, rel=1e-12)
    assert likelihood_ratio(bank / own) >= 0.9


values = st.none() | st.sampled_from(["a", "b", "c", "d"])


@pytest.mark.uncompiled
@given(st.lists(st.tuples(values, values, values), max_size=30))
def test_the_sum_over_a_day_equals_its_definition(rows: list[tuple[Any, Any, Any]]) -> None:
    """Page's sum over the fields of one day, missing values left out."""
    events = [
        event(i, "u", MONDAY + timedelta(seconds=i), system=a, device_id=b, channel=c)
        for i, (a, b, c) in enumerate(rows)
    ]
    _, _, state = run(events, PLAN)
    columns = [[row[field] for row in rows] for field in range(3)]
    expected = naive.page_sum([*columns, ["read" for _ in rows]], LEAST_SHARE)
    _, surprises = open_days(state)
    found = float(surprises[0, s.RAW + 3]) if rows else 0.0

    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.uncompiled
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9), st.booleans()), max_size=12),
    st.floats(0.0, 1.0),
)
def test_uses_fade_with_closed_days_and_those_of_flagged_days_count_less(
    visits: list[tuple[int, int, bool]], weight: float
) -> None:
    """Folded when the value comes again, as if its last day had closed just now."""
    pairs, (me, _) = s.empty_values(1), blank_actor()
    days = s.empty_days(1, s.N_DAY)
    uses, pending, was_flagged = 0.0, 0, False
    for n_closed, n_uses, flagged in visits:
        me[s.N_CLOSED] += n_closed
        me[s.RING_DAY] += n_closed
        me[s.FLAGGED] = int(was_flagged) << n_closed if n_closed < s.N_RING else 0
        counts_less = was_flagged and n_closed < s.N_RING
        fold_value(pairs, 0, me, days, MODEL.decay, weight)
        uses = uses * float(MODEL.decay[n_closed]) + (weight if counts_less else 1.0) * pending
        day = int(me[s.RING_DAY])
        pairs.day[0, day & 1], pairs.today[0, day & 1] = day, n_uses
        pending, was_flagged = n_uses, flagged

        assert pairs.uses[0] == pytest.approx(uses, rel=1e-5, abs=1e-6)


# -- counts and their sums


def law_of(baseline: s.F32, stat: int, kind: int = 0) -> naive.Law:
    """The twin's figures for one count, from the arrays."""
    level = 1.0
    if kind == 1:
        work = law_of(baseline, stat)
        level = max(1.0 + work.trust * (work.own / work.prior - 1.0), 0.1)
    return naive.Law(
        own=float(baseline[s.MEANS + kind * s.N_STATS + stat]),
        days=float(baseline[s.WEIGHTS + kind]),
        prior=level * float(MODEL.mean[0, kind, stat]),
        peer_dispersion=float(MODEL.dispersion[0, kind, stat]),
        spread=float(MODEL.spread[0, stat]),
        excess=float(baseline[s.EXCESS + stat]),
        squares=float(baseline[s.SQUARES + stat]),
    )


@pytest.mark.uncompiled
@given(
    st.integers(0, s.N_STATS - 1), st.integers(0, 1),
    st.tuples(small, small), st.tuples(small, small), st.floats(-500.0, 500.0), small,
)  # fmt: skip
def test_what_is_expected_of_a_count_equals_its_definition(
    stat: int,
    kind: int,
    own: tuple[float, float],
    days: tuple[float, float],
    excess: float,
    squares: float,
) -> None:
    """Credibility of the mean, shrunk dispersion; rest days lean on the own working days."""
    _, baseline = blank_actor()
    for k in range(2):
        baseline[s.MEANS + k * s.N_STATS + stat], baseline[s.WEIGHTS + k] = own[k], days[k]
    baseline[s.EXCESS + stat], baseline[s.SQUARES + stat] = excess, squares

    assert expected_count(baseline, MODEL, 0, kind, stat) == pytest.approx(
        law_of(baseline, stat, kind).expected(), rel=1e-9
    )


@pytest.mark.uncompiled
@given(
    st.integers(0, s.N_STATS - 1),
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from([1.0, 1.0, 1.0, 0.25])), max_size=20),
)
def test_a_closed_day_teaches_as_it_is_defined(stat: int, days: list[tuple[int, float]]) -> None:
    """Decayed mean and dispersion of days that are cut where they are far above usual."""
    _, baseline = blank_actor()
    twin, keep = law_of(baseline, stat), float(MODEL.decay[1])
    for count, weight in days:
        day, _ = blank_day()
        day[s.COUNTS + stat] = count
        learn_counts(day, baseline, MODEL, 0, weight, keep, LIMITS, True)
        twin.learn(float(count), weight, keep, 3.0)
    got = law_of(baseline, stat)

    assert got.days == pytest.approx(twin.days, rel=1e-5)
    assert got.own == pytest.approx(twin.own, rel=1e-3, abs=1e-3)
    assert got.squares == pytest.approx(twin.squares, rel=1e-3, abs=1e-6)
    assert got.excess == pytest.approx(twin.excess, rel=1e-2, abs=1e-1)


@pytest.mark.uncompiled
@given(st.lists(st.sets(st.integers(0, 95), min_size=1, max_size=12), min_size=1, max_size=8))
def test_hours_are_learned_as_they_are_defined(days: list[set[int]]) -> None:
    """The mean of the days, around midnight too, to the precision of 16 bits."""
    hours, (_, baseline) = np.zeros(96, dtype=np.uint16), blank_actor()
    for number, quarters in enumerate(days, start=1):
        day, _ = blank_day()
        for quarter in quarters:
            set_bin(day, s.BINS_LOW, quarter)
        baseline[s.WEIGHTS] = number
        learn_hours(day, hours, baseline, 1.0)

    np.testing.assert_allclose(hours / 65_535.0, naive.hours_worked(days), atol=1e-4)


@pytest.mark.uncompiled
@given(small, small, small, st.integers(0, 300), st.integers(0, 300))
def test_a_day_is_as_busy_as_its_other_customers(
    own: float, own_special: float, days: float, n_customers: int, n_special: int
) -> None:
    """Customers that are not special, over how many of those are usual; never below one."""
    (day, _), (_, baseline) = blank_day(), blank_actor()
    baseline[s.MEANS + CUSTOMERS], baseline[s.WEIGHTS] = own, days
    baseline[s.MEANS + s.SECRET] = own_special
    day[s.COUNTS + CUSTOMERS], day[s.COUNTS + s.SECRET] = n_customers, n_special
    usual, special = (law_of(baseline, stat).expected()[0] for stat in (CUSTOMERS, s.SECRET))
    expected = max((n_customers - n_special) / max(usual - special, 0.1 * usual, 1.0), 1.0)

    assert busy_factor(day, baseline, MODEL, 0, s.SECRET) == pytest.approx(expected, rel=1e-9)


@pytest.mark.uncompiled
@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from([False] * 9 + [True])), max_size=45),
    st.integers(0, 600),
)
def test_sums_over_days_equal_their_definition(days: list[tuple[int, bool]], today: int) -> None:
    """Every length from 2 to 16 against a mean that ends before it; flagged days start anew."""
    me, baseline = blank_actor()
    me[s.FIRST_DAY] = 10_000
    recent, twin = np.zeros((s.N_DRIP, s.N_RECENT), dtype=np.float32), naive.Drip()
    for number, (count, flagged) in enumerate(days):
        day, _ = blank_day(20_000 + number)
        day[s.COUNTS + CUSTOMERS] = count
        learn_drip(day, me, recent, baseline, MODEL, 0, flagged)
        twin.close(float(count), flagged)
    day, surprise = blank_day(20_100)
    day[s.COUNTS + CUSTOMERS] = today
    score_drip(day, surprise, me, recent, baseline, MODEL, 0, 1 << CUSTOMERS)
    tail, span = twin.surprise(float(today), law_of(baseline, CUSTOMERS))

    assert baseline[s.LAGGED_DAYS] == pytest.approx(twin.days, rel=1e-5)
    assert baseline[s.LAGGED] == pytest.approx(twin.lagged, rel=1e-4, abs=1e-4)
    assert me[s.N_DRIP_DAYS] == len(twin.recent)
    assert surprise[s.RAW + 4] == pytest.approx(tail, rel=0.03, abs=0.03)
    assert tail < 0.1 or abs(day[s.BEST_SPAN] - span) <= 1


# -- one score from many

raws = st.lists(
    st.sampled_from([0.0, 0.5, 2.0, 5.0, 11.9, 12.0, 40.0]),
    min_size=s.N_CHANNELS,
    max_size=s.N_CHANNELS,
)


@pytest.mark.uncompiled
@given(
    raws,
    st.lists(small, min_size=s.N_DETECTORS, max_size=s.N_DETECTORS),
    st.integers(0, 9),
    st.booleans(),
)
def test_one_score_from_many_equals_its_definition(
    raw: list[float], known: list[float], days: int, one_is_off: bool
) -> None:
    """Calibrated by channel, the loudest channel of a detector, what is notable, old news off."""
    (day, surprise), (_, baseline) = blank_day(), blank_actor()
    baseline[s.KNOWN : s.KNOWN + s.N_DETECTORS] = known
    surprise[s.RAW : s.RAW + s.N_CHANNELS] = raw
    enabled = LIMITS.enabled.copy()
    enabled[0] = not one_is_off
    combine(day, surprise, baseline, MODEL, 0, LIMITS._replace(enabled=enabled), days)
    stratum = int(days >= 5)
    lines = [
        (MODEL.knots_raw[stratum, c].tolist(), MODEL.knots_surprise[stratum, c].tolist())
        for c in range(s.N_CHANNELS + 1)
    ]
    heard = [
        0.0 if one_is_off and s.CHANNEL_DETECTOR[c] == 0 else raw[c] for c in range(s.N_CHANNELS)
    ]
    old = [LIMITS.known_share * float(np.float32(value)) for value in known]
    whole, fresh = naive.combined(
        heard, list(s.CHANNEL_DETECTOR), old, LIMITS.notable.tolist(), lines
    )

    assert surprise[s.WHOLE] == pytest.approx(whole, rel=1e-9, abs=1e-9)
    assert surprise[s.SCORE] == pytest.approx(fresh, rel=1e-9, abs=1e-9)


def combined_evenly(raw: dict[int, float]) -> float:
    """The day's score where every surprise is its raw score."""
    model = MODEL._replace(knots_surprise=MODEL.knots_raw)
    (day, surprise), (_, baseline) = blank_day(), blank_actor()
    for channel, value in raw.items():
        surprise[s.RAW + channel] = value
    combine(day, surprise, baseline, model, 0, LIMITS, 9)
    return float(surprise[s.SCORE])


@pytest.mark.uncompiled
def test_one_sure_detector_outranks_nine_that_say_a_little() -> None:
    """Nine small surprises are an ordinary busy day; two sure ones are more than one."""
    little = dict.fromkeys(range(1, 10), 1.4)

    assert combined_evenly({0: 3.5}) > combined_evenly(little)
    assert combined_evenly({0: 3.5, 2: 3.5}) > combined_evenly({0: 3.5}) + 0.5


@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.booleans()), max_size=20))
def test_what_flagged_days_have_said_fades_and_the_rest_says_nothing(
    days: list[tuple[float, bool]],
) -> None:
    """The loudest flagged day, 15 % less with every active day since."""
    _, baseline = blank_actor()
    for value, flagged in days:
        _, surprise = blank_day()
        surprise[s.CALIBRATED + 2] = value
        remember_flagged(surprise, baseline, flagged)
    said = [
        value * 0.85 ** (len(days) - 1 - i) for i, (value, flagged) in enumerate(days) if flagged
    ]

    assert baseline[s.KNOWN + 2] == pytest.approx(max(said, default=0.0), rel=1e-5)
    assert baseline[s.KNOWN] == 0.0


def test_old_news_ranks_lower_and_news_does_not() -> None:
    """The same bulk read on the next day scores less; the policy can switch that off."""
    policy = load_policy(None)
    scores: list[tuple[float, float]] = []
    for share in (0.0, 0.6):
        alerts = replace(policy.alerts, known_share=share)
        plan = build_plan(replace(policy, alerts=alerts), None, Reference())
        events = [
            event(1_000 * day + i, "u", MONDAY + timedelta(days=day, seconds=4 * i))
            for day in (0, 1)
            for i in range(200)
        ]
        _, (step,), _ = run(events, plan)
        scores.append((step.scores[:200].max(), step.scores[200:].max()))

    assert scores[0][0] == scores[1][0] > 2.5
    assert scores[1][1] < scores[0][1]
