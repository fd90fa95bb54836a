"""Three nodes: leaders change, then everything is gone for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from detector.kafka.settings import KafkaSettings
from tests.kafka.access import access_log, low_plan, send
from tests.kafka.running import Stream, assert_calm
from tests.kafka.test_kills import IS_LONG
from tests.parts.kafka import KafkaCluster, running
from tests.parts.postgresql import Server

DOWN_S = 30.0 if IS_LONG else 3.0


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three nodes, each broker and controller."""
    with running(tmp_path_factory.mktemp("three"), n_nodes=3) as nodes:
        yield nodes


def test_leaders_change_and_all_brokers_are_gone_for_a_while(
    cluster: KafkaCluster, postgresql: Server
) -> None:
    """Each node is killed once, so that every partition changes its leader; then all of them."""
    settings = KafkaSettings(
        bootstrap=cluster.bootstrap, session_timeout_s=6.0, metadata_max_age_s=1.0
    )
    topics = (cluster.create_topic("access", 3), cluster.create_topic("alerts", 3))
    letters = cluster.create_topic("letters")
    stream = Stream(settings, *topics, letters, postgresql.create("cluster"), low_plan())
    logs = {n: access_log(n, 500) for n in range(3)}
    with stream.running():
        for turn in range(4):
            for number, log in logs.items():
                send(settings, stream.topic, number, log[100 * turn : 100 * turn + 100])
            if turn < 3:
                cluster.kill(turn + 1)
                time.sleep(1)
                cluster.restart(turn + 1)
                cluster.wait()
        for node in (1, 2, 3):
            cluster.kill(node)
        time.sleep(DOWN_S)
        for node in (1, 2, 3):
            cluster.restart(node)
        cluster.wait()
        for number, log in logs.items():
            send(settings, stream.topic, number, log[400:])
        stream.wait_until_saved(dict.fromkeys(logs, 500), 120)

    assert_calm(stream, logs)
