"""The detector in the shape of scikit-learn: its conventions where they apply."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import detector as ad
from detector import AccessAnomalyDetector
from detector.errors import OptionError
from tests.analysis.conftest import SINCE, Fitted

_MATRIX = "feeds a matrix of numbers; X is a table of events with people and times"
NOT_APPLICABLE = dict.fromkeys(
    (
        "check_fit_score_takes_y",
        "check_estimators_overwrite_params",
        "check_dont_overwrite_parameters",
        "check_estimators_fit_returns_self",
        "check_readonly_memmap_input",
        "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit",
        "check_estimators_dtypes",
        "check_complex_data",
        "check_dtype_object",
        "check_estimators_empty_data_messages",
        "check_pipeline_consistency",
        "check_estimator_sparse_tag",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_outliers_fit_predict",
        "check_outliers_train",
        "check_classifier_data_not_an_array",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_fit2d_1sample",
        "check_fit2d_1feature",
        "check_dict_unchanged",
        "check_fit_idempotent",
        "check_fit_check_is_fitted",
        "check_n_features_in",
        "check_fit1d",
        "check_fit2d_predict1d",
    ),
    _MATRIX,
)
"""What they ask for is asked again below, with events; order and subsets must matter here: the
score is a function of the actor's events in arrival order."""


class AsIfMatrix(AccessAnomalyDetector):
    """The same, claiming to take matrices, so that scikit-learn runs its checks at all."""

    def __sklearn_tags__(self) -> Any:
        """Take matrices, if only to refuse them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@pytest.fixture(scope="module")
def events(fitted: Fitted) -> pd.DataFrame:
    """Events of a few of the bank's people, in order."""
    frame = ad.read_events(fitted.bank / "events.jsonl")
    return frame[frame["user_id"].isin(sorted(frame["user_id"].unique())[::7])]


@pytest.fixture(scope="module")
def parts(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first week and the second."""
    later = events["event_time"] >= pd.Timestamp(SINCE, tz="Asia/Shanghai")
    return events[~later].reset_index(drop=True), events[later].reset_index(drop=True)


@pytest.fixture(scope="module")
def estimator(fitted: Fitted, parts: tuple[pd.DataFrame, pd.DataFrame]) -> AccessAnomalyDetector:
    """Fitted on the first week."""
    return AccessAnomalyDetector(reference=str(fitted.bank / "reference")).fit(parts[0])


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_own_checks() -> None:
    """All that need no matrix pass; the others refuse it, and only they."""
    done = check_estimator(AsIfMatrix(), on_fail=None, on_skip=None)
    failed = {check["check_name"] for check in done if check["status"] == "failed"}
    passed = {check["check_name"] for check in done if check["status"] == "passed"}

    assert failed == set(NOT_APPLICABLE)
    assert len(passed) >= 11
    check_estimator(AccessAnomalyDetector(), on_skip=None)


def test_a_matrix_is_refused() -> None:
    """In one sentence that says what to give."""
    with pytest.raises(OptionError, match="X: is no table of events but a ndarray"):
        AccessAnomalyDetector().fit(np.zeros((3, 2)))


def test_the_sign_is_turned(
    estimator: AccessAnomalyDetector, parts: tuple[pd.DataFrame, pd.DataFrame], fitted: Fitted
) -> None:
    """Lower is more unusual here, and here alone; the numbers are the replay's."""
    whole = pd.concat(parts, ignore_index=True)
    result = ad.replay(
        whole, artifact=estimator.artifact_, reference=fitted.bank / "reference", since=SINCE
    )
    samples = estimator.score_samples(parts[1])
    decision, judged = estimator.decision_function(parts[1]), estimator.predict(parts[1])

    np.testing.assert_array_equal(-samples, result.trace.score[len(parts[0]) :])
    np.testing.assert_array_equal(decision, samples - estimator.offset_)
    np.testing.assert_array_equal(judged, np.where(decision <= 0.0, -1, 1))
    assert estimator.offset_ == -estimator.artifact_.manifest["threshold"]
    flagged = set(parts[1]["user_id"][judged == -1])
    assert flagged == set(result.alerts["user_id"]) != set()


def test_before_fit_there_is_nothing(parts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """As scikit-learn says it."""
    with pytest.raises(NotFittedError):
        AccessAnomalyDetector().predict(parts[1])


def test_fit_changes_no_parameter_and_can_be_repeated(
    estimator: AccessAnomalyDetector, parts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """Clone, refit, predict: the same."""
    before = estimator.get_params()
    again = clone(estimator).fit(parts[0])

    assert estimator.get_params() == again.get_params() == before
    assert again.artifact_.digest == estimator.artifact_.digest
    assert list(again.feature_names_in_) == list(parts[0].columns)
    assert again.n_features_in_ == parts[0].shape[1]


def test_predicting_changes_nothing(
    estimator: AccessAnomalyDetector, parts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """Twice the same answer, from the same attributes."""
    before = set(vars(estimator))

    np.testing.assert_array_equal(estimator.predict(parts[1]), estimator.predict(parts[1]))
    assert set(vars(estimator)) == before


def test_it_is_hashed_and_sent_to_workers(estimator: AccessAnomalyDetector) -> None:
    """joblib, which scikit-learn runs its folds with, needs to."""
    assert joblib.hash(estimator) == joblib.hash(estimator)


def test_it_works_in_a_pipeline_and_in_cross_validation(
    fitted: Fitted, events: pd.DataFrame
) -> None:
    """Folds in order of time: tomorrow teaches nobody about today."""
    frame = events.reset_index(drop=True)
    model = make_pipeline(
        FunctionTransformer(), AccessAnomalyDetector(reference=str(fitted.bank / "reference"))
    )

    def alert_share(model: Any, events: pd.DataFrame, _: object = None) -> float:
        return float((model.predict(events) == -1).mean())

    found = cross_validate(model, frame, cv=TimeSeriesSplit(2), scoring=alert_share)

    assert ((found["test_score"] >= 0.0) & (found["test_score"] < 0.5)).all()


def test_a_grid_can_be_searched(fitted: Fitted, events: pd.DataFrame) -> None:
    """More budget, a threshold that is no higher."""
    frame = events.reset_index(drop=True)
    search = GridSearchCV(
        AccessAnomalyDetector(reference=str(fitted.bank / "reference")),
        {"budget_per_day": [0.1, 100.0]},
        cv=TimeSeriesSplit(2),
        scoring=lambda model, *_: model.offset_,
    ).fit(frame)

    assert search.best_params_ == {"budget_per_day": 100.0}


def test_fit_predict_judges_the_history_itself(parts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """One label an event, and the history still known afterwards."""
    model = AccessAnomalyDetector()
    judged = model.fit_predict(parts[0])

    assert judged.shape == (len(parts[0]),)
    assert set(judged) <= {-1, 1}
    assert len(model.history_) == len(parts[0])


def test_other_frames_and_paths_are_tables_too(
    estimator: AccessAnomalyDetector, parts: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Any
) -> None:
    """As everywhere else in the interface."""
    few = parts[1].head(50)
    few.to_parquet(tmp_path / "few.parquet")
    expected = estimator.score_samples(few)

    np.testing.assert_array_equal(estimator.score_samples(pl.from_pandas(few)), expected)
    np.testing.assert_array_equal(estimator.score_samples(tmp_path / "few.parquet"), expected)


def test_a_row_that_cannot_be_used_is_an_error(
    estimator: AccessAnomalyDetector, parts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """Scores would no longer stand beside their rows."""
    broken = parts[1].head(3).assign(user_id=["u", None, "u"])

    with pytest.raises(OptionError, match=r"X: 1 rows cannot be used: \{'missing_field': 1\}"):
        estimator.score_samples(broken)


def test_a_budget_beside_a_policy_file_is_refused(
    parts: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """Which of the two should hold?"""
    with pytest.raises(OptionError, match="budget_per_day: cannot be given beside a policy file"):
        AccessAnomalyDetector(policy="policy.toml", budget_per_day=5).fit(parts[0])
