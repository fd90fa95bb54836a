"""The whole detector in the shape of scikit-learn: for cross-validation, grids and pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from detector.analysis.frames import read_events
from detector.analysis.result import Result
from detector.analysis.runs import fit as fit_artifact
from detector.analysis.runs import replay
from detector.artifacts import Artifact
from detector.errors import OptionError
from detector.extras import needed


class AccessAnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Learn what is usual from a history of events, then score later ones.

    **Sign.** Everywhere else in this program higher means more unusual. scikit-learn wants it
    the other way round, and this class is the one place that turns it: ``score_samples`` is
    *minus* the day's score, ``decision_function`` is above 0 where nothing is raised,
    ``predict`` is -1 for an event on a day that reached the threshold and 1 otherwise.

    **X** is a table of events in order of arrival: a data frame or a path as ``replay`` takes it,
    with the canonical columns ``event_id``, ``event_time``, ``user_id``, ``action`` and whatever
    else is known. It is no matrix of numbers: people, records and times are text and dates.
    Events of ``fit`` are remembered as context: scoring goes on from there, so that the first
    scored day of a person is compared with the last days of the history.

    Args:
        policy: tables or file over the default policy.
        reference: folder of staff, branches, calendars and the like.
        mapping: how the columns of the source are named.
        budget_per_day: alerts a day; decides ``offset_``. None: the policy's.

    Attributes:
        artifact_: what was learned.
        offset_: minus the threshold: ``decision_function = score_samples - offset_``.
        n_features_in_: columns of X in ``fit``, where X was a table.
        feature_names_in_: their names.

    >>> AccessAnomalyDetector(budget_per_day=5).get_params()["budget_per_day"]
    5
    """

    def __init__(
        self,
        *,
        policy: Any = None,
        reference: Any = None,
        mapping: Any = None,
        budget_per_day: float | None = None,
    ) -> None:
        self.policy = policy
        self.reference = reference
        self.mapping = mapping
        self.budget_per_day = budget_per_day

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803  scikit-learn's names
        """Learn from a history; ``y`` is ignored.

        Raises:
            DetectorError: X cannot be used.
        """
        events = _table(X)
        self.history_ = read_events(events, self.mapping)
        self.artifact_: Artifact = fit_artifact(
            self.history_, policy=self._policy(), reference=self.reference
        )
        self.offset_ = -float(self.artifact_.manifest["threshold"])
        self.feature_names_in_ = np.array([str(name) for name in events.columns], dtype=object)
        self.n_features_in_ = len(events.columns)
        return self

    def _policy(self) -> Any:
        """Lay the budget over the policy."""
        if self.budget_per_day is None:
            return self.policy
        if self.policy is not None and not isinstance(self.policy, dict):
            what, hint = "cannot be given beside a policy file", "Write it into the file"
            raise OptionError(what, where="budget_per_day", hint=hint)
        tables = dict(self.policy or {})
        alerts = {**tables.get("alerts", {}), "budget_per_day": self.budget_per_day}
        return {**tables, "alerts": alerts}

    def replay(self, X: Any) -> Result:  # noqa: N803
        """Replay the history and X after it; alerts are raised for X only.

        Raises:
            NotFittedError: ``fit`` comes first.
            DetectorError: X cannot be used.
        """
        needed("sklearn.utils.validation").check_is_fitted(self, "artifact_")
        pd = needed("pandas")
        table = _table(X)
        events = read_events(table, self.mapping)
        if len(events) < len(table):
            what = f"{len(table) - len(events)} rows cannot be used: {events.attrs['rejects']}"
            hint = "Leave them out, for example with read_events"
            raise OptionError(what, where="X", hint=hint)
        return replay(
            pd.concat([self.history_, events], ignore_index=True),
            artifact=self.artifact_,
            policy=self._policy(),
            reference=self.reference,
            since=None if events.empty else int(events["event_time"].min().value),
            features=False,
        )

    def score_samples(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """(n,) minus the actor's score of the day after each event; lower is more unusual.

        NaN where an event was not scored (a duplicate, or too late).
        """
        scores: NDArray[np.float64] = self.replay(X).trace.score
        return -scores[len(self.history_) :]

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """(n,) below 0 where the threshold is passed; ``score_samples - offset_``."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """(n,) -1 for an event on a day that had reached the threshold, else 1."""
        return np.where(self.decision_function(X) <= 0.0, -1, 1).astype(np.int64)

    def fit_predict(self, X: Any, y: object = None) -> NDArray[np.int64]:  # noqa: ARG002, N803
        """Fit on X and judge the same events.

        The history is then X itself, seen once: what is usual is known, nothing is context.
        """
        self.fit(X)
        empty, self.history_ = self.history_, self.history_.head(0)
        try:
            return self.predict(X)
        finally:
            self.history_ = empty

    def __sklearn_tags__(self) -> Any:
        """Say what X is: a table of texts and times, never a matrix."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        tags.non_deterministic = False
        return tags


def _table(events: Any) -> Any:
    """Return events as a pandas table; paths are read, other frames converted.

    Raises:
        OptionError: it is no table of events.
    """
    if isinstance(events, str | Path):
        return read_events(events)
    try:
        return needed("narwhals").from_native(events, eager_only=True).to_pandas()
    except TypeError:
        what = f"is no table of events but a {type(events).__name__}"
        hint = "Give a data frame, such as read_events returns"
        raise OptionError(what, where="X", hint=hint) from None
