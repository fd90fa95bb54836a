"""One broker for all tests of this folder; every test has topics of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from detector.kafka.settings import KafkaSettings
from tests.parts.kafka import KafkaCluster, running
from tests.parts.postgresql import Server, server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A cluster of one node."""
    with running(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def new_topic(kafka: KafkaCluster) -> Callable[..., str]:
    """Create topics nobody else has."""

    def create(partitions: int = 1, **configs: str) -> str:
        return kafka.create_topic(f"topic-{next(_numbers)}", partitions, **configs)

    return create


@pytest.fixture
def settings(kafka: KafkaCluster) -> KafkaSettings:
    """How to reach the cluster."""
    return KafkaSettings(bootstrap=kafka.bootstrap, session_timeout_s=6.0)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server for all tests of this folder."""
    with server() as running_server:
        yield running_server
