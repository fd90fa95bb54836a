"""Every plot shows something, says what, and says it in both languages."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import detector as ad
from detector import plots
from detector.analysis.tables import calibration, drift, earlier_days, peer_group, recall_curve
from detector.errors import OptionError
from detector.plots import style
from tests.analysis.conftest import Fitted

Draw = Callable[[Fitted, str, str], Any]
PLOTS: dict[str, Draw] = {
    "user_timeline": lambda f, user, lang: plots.user_timeline(f.result, user, language=lang),
    "hour_day_heatmap": lambda f, user, lang: plots.hour_day_heatmap(f.result, user, lang),
    "observed_expected": lambda f, user, lang: plots.observed_expected(
        f.result, user, "n_records", lang
    ),
    "contributions": lambda f, _, lang: plots.contributions(f.result.alerts.iloc[0], lang),
    "peer_distribution": lambda f, user, lang: plots.peer_distribution(
        f.result, user, language=lang
    ),
    "calibration": lambda f, _, lang: plots.calibration(f.result, language=lang),
    "recall_budget": lambda f, _, lang: plots.recall_budget(
        {"as it was": f.result, "stricter": ad.what_if(f.result, {"threshold": 3.0})},
        f.bank / "truth.json", language=lang,
    ),
    "drift": lambda f, _, lang: plots.drift(f.result, language=lang),
}  # fmt: skip


@pytest.fixture(scope="module")
def user(fitted: Fitted) -> str:
    """Somebody with an alert."""
    return str(fitted.result.alerts["user_id"].iloc[0])


def pixels(figure: Any) -> np.ndarray[Any, Any]:
    """The figure as it would be shown; a missing glyph is a warning and so an error."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(out, format="png")
    return np.asarray(plt.imread(io.BytesIO(out.getvalue())))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_shows_something_and_says_what(
    fitted: Fitted, user: str, name: str, language: str
) -> None:
    """Ink beyond the frame, a title and two labelled axes, every glyph in the font."""
    figure = PLOTS[name](fitted, user, language)
    (axes, *_) = figure.axes
    labels = [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
    labels = labels[:2] if name == "contributions" else labels

    assert len(np.unique(pixels(figure)[..., :3].reshape(-1, 3), axis=0)) > 20
    assert all(labels)
    assert (language == "zh") == any(ord(letter) > 0x4E00 for letter in "".join(labels))
    assert axes.has_data()


def test_every_plot_is_tested() -> None:
    """A new one must be looked at."""
    assert set(PLOTS) == set(plots.__all__) - {"chinese_font"}


def test_a_plot_leaves_the_settings_and_windows_alone(fitted: Fitted, user: str) -> None:
    """It may run in a notebook with a style of its own, or in the console's server."""
    before = dict(mpl.rcParams)
    plots.user_timeline(fitted.result, user)

    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_chinese_without_a_font_is_told_in_one_sentence(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes instead of letters would be found only in the meeting."""
    monkeypatch.setattr(style, "chinese_font", lambda: None)

    with pytest.raises(OptionError, match="Install one, such as Debian's fonts-noto-cjk"):
        plots.drift(fitted.result, language="zh")
    assert plots.drift(fitted.result).axes


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda f: plots.drift(f.result, language="fr"), "language: there is no language 'fr'"),
        (lambda f: plots.user_timeline(f.result, "nobody"), "user_id: 'nobody' has no event here"),
        (lambda f: plots.user_timeline(f.result, "u00001", "age"), "there is no column 'age'"),
        (lambda f: plots.calibration(f.result, "magic"), "there is no detector 'magic'"),
    ],
)
def test_what_is_not_there_is_an_error(
    fitted: Fitted, draw: Callable[[Fitted], Any], message: str
) -> None:
    """With what there is."""
    with pytest.raises(OptionError, match=message):
        draw(fitted)


def test_the_palette_can_be_told_apart_in_grey() -> None:
    """The two colours that carry meaning side by side differ in brightness."""

    def brightness(colour: str) -> float:
        red, green, blue = mpl.colors.to_rgb(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert abs(brightness(style.BLUE) - brightness(style.ORANGE)) > 0.2
    assert abs(brightness(style.SKY) - brightness(style.RED)) > 0.1


def test_calibration_counts_mature_days(fitted: Fitted) -> None:
    """Observed lies in its interval, and a rarer day is not more frequent."""
    table = calibration(fitted.result)
    days = fitted.result.actor_days

    assert (table["n"] == (~days["learning"]).sum()).all()
    assert ((table["low"] <= table["observed"]) & (table["observed"] <= table["high"])).all()
    assert table["observed"].is_monotonic_decreasing


def test_the_recall_curve_rises_with_the_budget(fitted: Fitted) -> None:
    """Who reads more finds no less."""
    table = recall_curve(fitted.result, fitted.bank / "truth.json")

    assert table["recall"].is_monotonic_increasing
    with pytest.raises(OptionError, match="verdicts do not tell what was missed"):
        recall_curve(fitted.result, {"alert_id": [], "verdict": []})


def test_drift_has_a_row_a_period(fitted: Fitted) -> None:
    """And counts every mature day once."""
    table = drift(fitted.result)

    assert len(table) == 2
    assert table["n_days"].sum() == (~fitted.result.actor_days["learning"]).sum()


def test_a_day_is_compared_with_earlier_days_only(fitted: Fitted, user: str) -> None:
    """The band of a day does not know the day."""
    table = earlier_days(fitted.result, user)
    last = len(table) - 1

    assert table["expected"][last] == np.median(table["observed"][:last])
    assert table["expected"][:3].isna().all()


def test_peers_have_the_same_group(fitted: Fitted, user: str) -> None:
    """A peer's peers are the same people."""
    peers = peer_group(fitted.result, user)

    assert user in peers
    assert peer_group(fitted.result, peers[0]) == peers
