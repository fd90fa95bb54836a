"""What an analyst's replay finds is what the live worker found, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import detector as ad
from detector.kafka.settings import KafkaSettings
from detector.store import open_store
from tests.kafka.access import POLICY, access_log, by_actor, low_plan, published, send, stored
from tests.kafka.running import Stream, wait_until_shown


def test_a_notebook_s_alerts_are_the_consumer_s(
    settings: KafkaSettings, new_topic: Callable[..., str], tmp_path: Path
) -> None:
    """The same events from a file and through the broker: one engine, the same bytes."""
    logs = {n: access_log(20 + n, 500) for n in range(2)}
    url, topic, alerts = f"sqlite:///{tmp_path}/alerts.db", new_topic(2), new_topic(1)
    stream = Stream(settings, topic, alerts, new_topic(1), url, low_plan())
    with stream.running():
        for number, log in logs.items():
            send(settings, topic, number, log)
        wait_until_shown(stream, dict.fromkeys(logs, 500))
    events, policy = tmp_path / "events.jsonl", tmp_path / "policy.toml"
    policy.write_text(POLICY)
    values = [one.value or b"" for log in logs.values() for one in log]
    events.write_bytes(b"".join(value + b"\n" for value in values))
    replayed = by_actor(ad.replay(events, policy=policy).alert_lines)
    store = open_store(url)
    table = [line for lines in stored(store, topic, 2).values() for line in lines]
    store.close()

    assert sum(map(len, replayed.values())) > 20
    assert by_actor(table) == replayed
    assert published(settings, alerts) == replayed
