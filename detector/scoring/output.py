"""What the loop wrote → detections for the alert builder, closed days for fitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.alerts import Alert, Episodes
from detector.columns import EventBatch, Texts
from detector.detections import (
    DETECTORS,
    AccountEvidence,
    BranchEvidence,
    CountEvidence,
    Detection,
    DripEvidence,
    HoursEvidence,
    RepeatEvidence,
    UnfamiliarEvidence,
)
from detector.plan import Plan
from detector.scoring import model as m
from detector.scoring.account import RULES
from detector.scoring.counts import STATS
from detector.scoring.model import Out, Rows
from detector.state.layout import DRIP_STATS, FIELDS, N_DAY, N_SURPRISE


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Closed actor-days, one line each; columns are named in ``state/layout.py``.

    ``actor`` is (m, 4): user key, slot, peer group, days closed before; ``day`` (m, N_DAY)
    and ``surprise`` (m, N_SURPRISE) are the day's last line in the state.
    """

    actor: NDArray[np.int64]
    day: NDArray[np.int64]
    surprise: NDArray[np.float64]

    @classmethod
    def of(cls, out: Out) -> ClosedDays:
        """Take what the loop reported."""
        n = int(out.n_closed[0])
        return cls(out.closed_actor[:n], out.closed_day[:n], out.closed_surprise[:n])


@dataclass(frozen=True, slots=True)
class KeptRows:
    """What stood in the state after each row; columns are named in ``state/layout.py``.

    ``actor`` is (n, 4): user key, peer group, days closed before, 1 if a raw score rose;
    ``day`` (n, N_DAY), ``surprise`` (n, N_SURPRISE); ``known`` (n, detectors) what flagged
    days had said. Empty unless the plan keeps rows; zero where a row was not scored.
    """

    actor: NDArray[np.int64]
    day: NDArray[np.int64]
    surprise: NDArray[np.float64]
    known: NDArray[np.float64]

    @classmethod
    def of(cls, out: Out) -> KeptRows:
        """Take what the loop kept."""
        return cls(out.kept_actor, out.kept_day, out.kept_surprise, out.kept_known)


def empty_out(n_rows: int, *, keep_ledger: bool, keep_rows: bool = False) -> Out:
    """Allocate room for what one batch can give: a row closes at most two days."""
    n_closed = 2 * n_rows if keep_ledger else 0
    n_kept = n_rows if keep_rows else 0
    return Out(
        window=np.zeros(8, dtype=np.int64),
        score=np.full(n_rows, np.nan, dtype=np.float64),
        code=np.zeros(n_rows, dtype=np.uint8),
        mark=np.zeros(n_rows, dtype=np.uint8),
        facts=np.empty((n_rows, m.N_FACTS), dtype=np.int64),
        figures=np.empty((n_rows, m.N_FIGURES), dtype=np.float64),
        n_closed=np.zeros(1, dtype=np.int64),
        closed_actor=np.empty((n_closed, 4), dtype=np.int64),
        closed_day=np.empty((n_closed, N_DAY), dtype=np.int64),
        closed_surprise=np.empty((n_closed, N_SURPRISE), dtype=np.float64),
        kept_actor=np.zeros((n_kept, 4), dtype=np.int64),
        kept_day=np.zeros((n_kept, N_DAY), dtype=np.int64),
        kept_surprise=np.zeros((n_kept, N_SURPRISE), dtype=np.float64),
        kept_known=np.zeros((n_kept, len(DETECTORS)), dtype=np.float64),
    )


def raise_alerts(
    episodes: Episodes,
    branch_names: dict[int, str],
    batch: EventBatch,
    rows: Rows,
    out: Out,
    plan: Plan,
) -> list[Alert]:
    """Turn marked rows into alerts, in arrival order."""
    _remember_branches(branch_names, batch, rows)
    alerts = []
    marked = np.flatnonzero(out.mark)
    users, days = out.facts[marked, m.F_USER].tolist(), out.facts[marked, m.F_DAY].tolist()
    marks, event_ids = out.mark[marked].tolist(), _texts_of(batch.event_ids, marked)
    every = zip(marked.tolist(), marks, users, days, event_ids, strict=True)
    for row, mark, user, day, event_id in every:
        if mark & m.SAMPLE:
            episodes.note_sample(user, day, event_id)
        if mark & m.RAISED:
            facts, figures = out.facts[row].tolist(), out.figures[row].tolist()
            found = detection_of(row, facts, figures, branch_names)
            alerts.append(_alert(episodes, batch, found, plan))
    return alerts


def _texts_of(column: Sequence[str], rows: NDArray[np.int64]) -> Sequence[str]:
    """Return the texts of some rows, all at once where they are still bytes."""
    return column.take(rows) if isinstance(column, Texts) else [column[i] for i in rows.tolist()]


def _alert(episodes: Episodes, batch: EventBatch, found: Detection, plan: Plan) -> Alert:
    user_id = batch.user_ids[found.row]
    role, branch = plan.staff.get(user_id, (None, None))
    return episodes.raise_alert(
        found,
        user_id=user_id,
        user_role=batch.user_role.at(found.row) or role,
        user_branch=batch.user_branch.at(found.row) or branch,
        time_ns=int(batch.event_time_ns[found.row]),
        event_id=batch.event_ids[found.row],
        policy=plan.policy,
        artifact_digest=plan.artifact_digest,
    )


def _remember_branches(names: dict[int, str], batch: EventBatch, rows: Rows) -> None:
    """Keep the text of every branch key, for the words of an alert."""
    column = batch.record_branch
    row_of_code = np.full(len(column.values) + 1, -1, dtype=np.int64)
    row_of_code[column.codes] = np.arange(len(batch), dtype=np.int64)
    used = np.flatnonzero(row_of_code[:-1] >= 0)
    keys = rows.branch_key[row_of_code[used]]
    for code, key in zip(used.tolist(), keys.tolist(), strict=True):
        if key != 0 and key not in names:
            names[key] = column.values[code]


def detection_of(
    row: int, facts: list[int], figures: list[float], branch_names: dict[int, str]
) -> Detection:
    """Name the numbers the loop wrote for a raised row."""
    surprises = tuple(figures[m.G_SURPRISE : m.G_SURPRISE + len(DETECTORS)])
    ranked = sorted(range(len(DETECTORS)), key=lambda d: -surprises[d])
    fired = [DETECTORS[d] for d in ranked if facts[m.F_FIRED] >> d & 1]
    counts = {name: _count(facts, figures, d) for d, name in enumerate(DETECTORS)}
    return Detection(
        row=row,
        user_hash=facts[m.F_USER],
        day=facts[m.F_DAY],
        utc_offset_s=facts[m.F_OFFSET],
        score=figures[m.G_SCORE],
        surprises=surprises,
        fired=tuple(fired) or (DETECTORS[ranked[0]],),
        first_event_time_ns=facts[m.F_FIRST],
        last_event_time_ns=facts[m.F_LAST],
        n_events=facts[m.F_EVENTS],
        n_records=facts[m.F_RECORDS],
        n_customers=facts[m.F_CUSTOMERS],
        n_unexplained=facts[m.F_UNEXPLAINED],
        n_customers_30d=facts[m.F_CUSTOMERS_30D],
        n_events_30d=facts[m.F_EVENTS_30D],
        n_records_30d=facts[m.F_RECORDS_30D],
        learning=bool(facts[m.F_LEARNING]),
        counts={name: found for name, found in counts.items() if found is not None},
        hours=_hours_evidence(facts, figures),
        branch=_branch_evidence(facts, figures, branch_names),
        unfamiliar=_unfamiliar_evidence(facts, figures),
        drip=_drip_evidence(facts, figures),
        repeat=RepeatEvidence(facts[m.F_LEVEL], figures[m.G_REACH], figures[m.G_PEER_REACH]),
        account=AccountEvidence(RULES[facts[m.F_RULE]], facts[m.F_RULE_FACT]),
    )


def _count(facts: list[int], figures: list[float], detector: int) -> CountEvidence | None:
    stat, at = facts[m.F_STAT + detector], m.G_MEAN + 4 * detector
    if stat < 0:
        return None
    quantity, window = STATS[stat]
    return CountEvidence(quantity, window, facts[m.F_OBSERVED + detector], *figures[at : at + 4])


def _unfamiliar_evidence(facts: list[int], figures: list[float]) -> UnfamiliarEvidence:
    found = facts[m.F_NEW_VALUES : m.F_NEW_VALUES + len(FIELDS)]
    news = {name: n for name, n in zip(FIELDS, found, strict=True) if n > 0}
    return UnfamiliarEvidence(news, figures[m.G_OTHERS])


def _drip_evidence(facts: list[int], figures: list[float]) -> DripEvidence:
    return DripEvidence(
        quantity=STATS[DRIP_STATS[facts[m.F_DRIP]]][0],
        n_days=facts[m.F_SPAN],
        observed=facts[m.F_DRIP_SUM],
        expected=figures[m.G_DRIP_MEAN],
        dispersion=figures[m.G_DRIP_DISPERSION],
        peer_expected=figures[m.G_DRIP_PEER],
    )


def _hours_evidence(facts: list[int], figures: list[float]) -> HoursEvidence:
    return HoursEvidence(
        bin_index=facts[m.F_BIN],
        rest_day=bool(facts[m.F_REST]),
        share=figures[m.G_HOUR_SHARE],
        active_share=figures[m.G_ACTIVE_SHARE],
        n_events=facts[m.F_OUT_EVENTS],
        n_customers=facts[m.F_OUT_CUSTOMERS],
    )


def _branch_evidence(
    facts: list[int], figures: list[float], branch_names: dict[int, str]
) -> BranchEvidence:
    return BranchEvidence(
        branch=branch_names.get(facts[m.F_BRANCH]),
        n_customers=facts[m.F_VISITED],
        expected=figures[m.G_EXPECTED],
        share=figures[m.G_OWN_SHARE],
        peer_share=figures[m.G_PEER_SHARE],
        bank_share=figures[m.G_BANK_SHARE],
    )
