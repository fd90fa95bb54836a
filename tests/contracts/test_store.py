"""What every store promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from detector.errors import FencedError, StoreError
from detector.state.snapshot import PAGE_BYTES, ChangedPages, arrays_of, layout_of
from detector.store import Activation, Checkpoint, Store
from tests.contracts.alerts import an_alert, lines

STREAM = "access/3"


def test_an_empty_store_holds_nothing(store: Store) -> None:
    """No checkpoint is no error: the stream begins."""
    assert store.last_checkpoint(STREAM) is None
    assert list(store.alert_lines()) == []
    assert store.sink_position("webhook") == 0
    assert store.activations(STREAM) == []


def test_what_was_committed_comes_back(store: Store) -> None:
    """State to the byte, facts, position, alerts in order of emission."""
    rng = np.random.default_rng(1)
    arrays = {
        "a": rng.integers(0, 9, (3 * PAGE_BYTES // 8 + 5,)),
        "b": rng.random((40, 3)),
        "empty": np.zeros(0, dtype=np.int64),
    }
    facts = {"layout": layout_of(arrays), "position": [0, 17], "name": "柜员"}
    claim = store.claim(STREAM, "one")
    checkpoint = Checkpoint(1, facts, 1_774_240_000_123_000_000)
    first, second = an_alert("u2"), an_alert("u1")
    store.commit(claim, checkpoint, [first, second], ChangedPages().since_last(arrays))
    held = store.last_checkpoint(STREAM)

    assert held == checkpoint
    again = arrays_of(facts["layout"], store.state_content(claim, held.facts["layout"]))
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    assert list(store.alert_lines(STREAM)) == lines(first, second)


def test_only_changed_pages_are_needed_again(store: Store) -> None:
    """A checkpoint costs what has changed; an array that grows or shrinks keeps the rest."""
    pages, claim = ChangedPages(), store.claim(STREAM, "one")
    array = np.arange(4 * PAGE_BYTES // 8)
    for number, end in enumerate((array.size, array.size - 3, 2 * PAGE_BYTES // 8, array.size), 1):
        array[number * 7] += number
        arrays = {"a": array[:end]}
        facts = {"layout": layout_of(arrays)}
        store.commit(claim, Checkpoint(number, facts), [], pages.since_last(arrays))

        assert store.state_content(claim, facts["layout"]) == arrays["a"].tobytes()


@pytest.mark.parametrize("number", [1, 2])
def test_the_same_or_an_older_checkpoint_is_refused(number: int, store: Store) -> None:
    """A worker that was thought dead must not turn time back."""
    claim = store.claim(STREAM, "one")
    store.commit(claim, Checkpoint(2, {}), [], [])
    with pytest.raises(StoreError, match=f"refused older {number}"):
        store.commit(claim, Checkpoint(number, {}), [an_alert()], [])

    assert store.last_checkpoint(STREAM) == Checkpoint(2, {})
    assert list(store.alert_lines()) == []


def test_an_older_claim_writes_nothing(opened: Callable[[], Store]) -> None:
    """Two workers believe they own a partition: only the later one does."""
    stale_store, new_store = opened(), opened()
    stale = stale_store.claim(STREAM, "stale")
    new = new_store.claim(STREAM, "new")
    layout = {"a": ["|u1", [3]]}
    attempts: list[Callable[[], object]] = [
        lambda: stale_store.commit(stale, Checkpoint(1, {}), [an_alert()], [("a", 0, b"abc")]),
        lambda: stale_store.write_alerts(stale, [an_alert()]),
        lambda: stale_store.activate(stale, Activation(0, {"policy": "p"})),
        lambda: stale_store.state_content(stale, layout),
    ]
    for attempt in attempts:
        with pytest.raises(FencedError, match=r"access/3 has been claimed by new \(epoch 2"):
            attempt()

    assert new.epoch == stale.epoch + 1
    assert new_store.last_checkpoint(STREAM) is None
    assert list(new_store.alert_lines()) == []
    assert new_store.activations(STREAM) == []
    assert new_store.state_content(new, layout) == b""


def test_streams_do_not_touch_each_other(store: Store) -> None:
    """A partition's stream is its whole world."""
    claims = [store.claim(name, "one") for name in ("access/1", "access/2")]
    layout = {"a": ["|u1", [1]]}
    for number, claim in enumerate(claims, 1):
        content = bytes([number])
        facts = {"layout": layout, "is": claim.stream}
        store.commit(
            claim, Checkpoint(number, facts), [an_alert(f"u{number}")], [("a", 0, content)]
        )

    for number, claim in enumerate(claims, 1):
        held = store.last_checkpoint(claim.stream)
        assert held is not None
        assert (held.number, held.facts["is"]) == (number, claim.stream)
        assert store.state_content(claim, layout) == bytes([number])
        assert list(store.alert_lines(claim.stream)) == lines(an_alert(f"u{number}"))
    assert list(store.alert_lines()) == lines(an_alert("u1"), an_alert("u2"))


def test_an_alert_is_there_at_once_and_only_once(opened: Callable[[], Store]) -> None:
    """Written when raised, again with the checkpoint, again after a crash: one line."""
    store, reader = opened(), opened()
    claim = store.claim(STREAM, "one")
    first, second = an_alert(version=1), an_alert(version=2)
    store.write_alerts(claim, [first])

    assert list(reader.alert_lines()) == lines(first)
    store.write_alerts(claim, [second])
    store.commit(claim, Checkpoint(1, {}), [first, second], [])
    store.write_alerts(claim, [first])
    assert list(reader.alert_lines()) == lines(first, second)


def test_a_sink_that_follows_arrivals_gets_each_line_once(store: Store) -> None:
    """Whatever is raised again keeps its number."""
    one, two = store.claim("access/1", "one"), store.claim("access/2", "one")
    got: list[bytes] = []
    for claim, alert in ((one, an_alert("u1")), (two, an_alert("u2")), (one, an_alert("u1"))):
        store.write_alerts(claim, [alert])
        found = store.arrivals(store.sink_position("webhook"), 10)
        got += [arrival.line for arrival in found]
        for arrival in found:
            store.move_sink("webhook", arrival.number)

    assert got == lines(an_alert("u1"), an_alert("u2"))
    assert [arrival.stream for arrival in store.arrivals(0, 1)] == ["access/1"]


def test_a_sink_can_follow_one_stream(store: Store) -> None:
    """Each host delivers the alerts of its own partitions, and knows how many wait."""
    for stream in ("access/1", "access/2", "access/1"):
        user = f"u{store.n_arrivals(0, 9, stream)}"
        store.write_alerts(store.claim(stream, "one"), [an_alert(user)])

    first, second = store.arrivals(0, 10, "access/1")
    assert [first.line, second.line] == lines(an_alert("u0"), an_alert("u1"))
    assert store.arrivals(first.number, 10, "access/1") == [second]
    assert store.n_arrivals(first.number, 9, "access/1") == 1
    assert store.n_arrivals(0, 1, "access/1") == 1


def test_a_sink_s_position_never_goes_back(store: Store) -> None:
    """A host that wakes up late notes what has long been surpassed."""
    store.move_sink("webhook", 7)
    store.move_sink("webhook", 3)

    assert store.sink_position("webhook") == 7


def test_threads_that_share_a_store_do_not_mix_their_transactions(store: Store) -> None:
    """A sink reads on its own thread while a checkpoint is being written."""
    claim = store.claim(STREAM, "one")
    seen: list[list[int]] = []
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            seen.append([arrival.number for arrival in store.arrivals(0, 1_000)])

    follower = threading.Thread(target=follow)
    follower.start()
    for number in range(1, 21):
        alerts = [an_alert(f"u{number}-{i}") for i in range(5)]
        store.commit(claim, Checkpoint(number, {}), alerts, [("a", number, b"abc")])
    stop.set()
    follower.join(60)

    assert {len(numbers) % 5 for numbers in seen} == {0}
    assert len(list(store.alert_lines())) == 100


HOSTILE = (
    "x'; drop table alert; --", '"', "100%", "%s %(a)s :name $1 ?", "\\", "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>", "\u202eevil", "a\nb", "\x1b[31m", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "é", "长" * 256,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str, store: Store) -> None:
    """In names, in the stream, in the owner: kept as it is, and nothing else happens."""
    claim = store.claim(f"access/{text}", text)
    alert = an_alert(text)
    alert.fields["user_branch"] = alert.fields["user_role"] = text
    alert.fields["event_ids"] = [text]
    store.commit(claim, Checkpoint(1, {"name": text}), [alert], [(text, 0, text.encode())])
    held = store.last_checkpoint(f"access/{text}")

    assert held == Checkpoint(1, {"name": text})
    assert list(store.alert_lines(f"access/{text}")) == lines(alert)
    assert store.state_content(claim, {text: ["|u1", [1]]}) == text.encode()


def test_many_alerts_come_back_in_order(store: Store) -> None:
    """More than are read at once."""
    claim = store.claim(STREAM, "one")
    alerts = [an_alert(f"u{number}") for number in range(2_500)]
    store.write_alerts(claim, alerts)

    assert list(store.alert_lines(STREAM)) == lines(*alerts)


def test_what_was_in_force_is_remembered(store: Store) -> None:
    """Replay must use from each offset on what live used; noting it twice is noting it once."""
    claim = store.claim(STREAM, "one")
    history = [
        Activation(0, {"policy": "p1", "artifact": "a1"}),
        Activation(900, {"policy": "p1", "artifact": "a2"}),
        Activation(1_000, {"policy": "p2", "artifact": "a1"}),
    ]
    for activation in (*history, history[-1]):
        store.activate(claim, activation)

    assert store.activations(STREAM) == history
    assert store.activations("access/4") == []


def test_a_failing_source_of_pages_leaves_nothing_behind(store: Store) -> None:
    """All of a checkpoint or nothing."""

    def pages() -> object:
        yield "a", 0, b"abc"
        raise ZeroDivisionError

    claim = store.claim(STREAM, "one")
    with pytest.raises(ZeroDivisionError):
        store.commit(claim, Checkpoint(1, {}), [an_alert()], pages())
    layout = {"a": ["|u1", [3]]}

    assert store.last_checkpoint(STREAM) is None
    assert store.state_content(claim, layout) == b""
    assert list(store.alert_lines()) == []
