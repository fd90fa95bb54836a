"""Figures of many people's pages are asked for once, and kept for seconds, not longer."""

from __future__ import annotations

import threading

import pytest

from detector.console.recent import Recent
from detector.console.triage_actions import MAX_TEXT_LETTERS
from tests.console.conftest import NEWEST, Served


def test_who_asks_while_an_answer_is_made_gets_the_same_one() -> None:
    """Fifty analysts at nine o'clock are one question to the database."""
    recent, begun, go_on = Recent[str, int](1_000), threading.Event(), threading.Event()
    made: list[int] = []
    answers: list[int] = []

    def make() -> int:
        begun.set()
        assert go_on.wait(30)
        made.append(1)
        return len(made)

    threads = [
        threading.Thread(target=lambda: answers.append(recent.of("a", 0, make))) for _ in range(8)
    ]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()

    assert (made, answers) == ([1], [1] * 8)


def test_an_error_is_not_kept() -> None:
    """The next one asks again."""
    recent = Recent[str, int](1_000)
    with pytest.raises(ZeroDivisionError):
        recent.of("a", 0, lambda: 1 // 0)

    assert recent.of("a", 1, lambda: 7) == 7


def test_keys_are_bounded() -> None:
    """Whatever scopes there are; the ones that were made last stay."""
    recent = Recent[int, int](1_000)
    for key in range(200):
        recent.of(key, 0, lambda key=key: key)

    assert recent.of(199, 1, lambda: -1) == 199
    assert recent.of(0, 1, lambda: -1) == -1


def test_the_overview_shows_what_was_decided_within_seconds(served: Served) -> None:
    """Not at once, and never much later."""
    program = served.with_token("analyst", "read", "triage")
    before = program.get("/overview").json()["n_judged"]
    sent = {"row_version": 0, "verdict": "benign", "reason": "x" * (MAX_TEXT_LETTERS // 100)}
    program.post(f"/alerts/{next(iter(NEWEST))}/triage", json=sent)
    served.clock.ahead_ms += 5_000

    assert program.get("/overview").json()["n_judged"] == before + 1
