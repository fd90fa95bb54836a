"""`make demo-kafka`: live events through a real broker, two consumers, alerts as they come.

Kafka and PostgreSQL come from Docker where it runs, else from Maven and the system's packages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import psycopg
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from detector.hosts.fit import FitOptions, fit_history
from detector.simulate import SimulationConfig, simulate
from tests.parts.kafka import free_ports
from tests.parts.kafka import running as kafka_from_maven
from tests.parts.postgresql import server as installed_postgresql

_KAFKA_IMAGE, _POSTGRESQL_IMAGE = "apache/kafka:4.1.0", "postgres:17"
_BANK = SimulationConfig(users=200, branches=12, days=21, seed=7, incidents=24)
_UNTIL = "2026-03-16"


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long events are sent")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-kafka-")))
        say("simulating a bank, learning from its first two weeks")
        bank = folder / "bank"
        simulate(bank, _BANK)
        fitting = FitOptions(
            str(bank / "events.jsonl"),
            folder / "artifact",
            _until_ns(),
            reference=bank / "reference",
        )
        fit_history(fitting)
        say("starting Kafka and PostgreSQL")
        bootstrap = stack.enter_context(kafka(folder))
        store = stack.enter_context(postgresql())
        create_topics(bootstrap)
        workers = [stack.enter_context(worker(folder, bootstrap, store)) for _ in range(2)]
        say("two consumers started; events follow, alerts appear as they are raised")
        threading.Thread(target=show_alerts, args=(bootstrap,), daemon=True).start()
        time.sleep(5)
        threading.Timer(options.seconds / 2, kill, (workers[0],)).start()
        send(bootstrap, bank / "events.jsonl", options.seconds)
        time.sleep(8)
        workers[1].terminate()
        say(f"the other consumer ended in order with exit code {workers[1].wait(60)}")
        with psycopg.connect(store) as db:
            found = db.execute("select count(distinct alert_id) from alert").fetchone()
        say(f"{found[0] if found else 0} alerts in the store, each version once in the topic")


def say(text: str) -> None:
    """Print a line about what happens."""
    print(f"· {text}", flush=True)


def _until_ns() -> int:
    from detector.hosts.local_time import since_ns

    found = since_ns(_UNTIL, None, "until")
    assert found is not None
    return found


def has_docker() -> bool:
    """Tell whether containers can be run here."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextmanager
def container(*arguments: str) -> Iterator[None]:
    """Run a container until the block is left."""
    command = ["docker", "run", "--detach", "--rm", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "stop", done.stdout.strip()], check=True, capture_output=True)


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """Run a broker; yield its address."""
    if not has_docker():
        with kafka_from_maven(folder / "kafka") as cluster:
            yield cluster.bootstrap
        return
    (port,) = free_ports(1)
    names = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    settings = [part for name, value in names.items() for part in ("--env", f"{name}={value}")]
    with container("--publish", f"127.0.0.1:{port}:{port}", *settings, _KAFKA_IMAGE):
        bootstrap = f"127.0.0.1:{port}"
        for _ in range(60):
            with contextlib.suppress(KafkaError):
                KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=1000).close()
                break
            time.sleep(0.5)
        yield bootstrap


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a database; yield its URL."""
    if not has_docker():
        with installed_postgresql() as running:
            yield running.create("demo")
        return
    (port,) = free_ports(1)
    published = f"127.0.0.1:{port}:5432"
    trust = ("--env", "POSTGRES_HOST_AUTH_METHOD=trust")
    with container("--publish", published, *trust, _POSTGRESQL_IMAGE):
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        for _ in range(60):
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(url, connect_timeout=2).close()
                break
            time.sleep(0.5)
        yield url


def create_topics(bootstrap: str) -> None:
    """Create what the pipeline names."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    names = {"access-events": 4, "alerts": 1, "dead-letters": 1}
    admin.create_topics([NewTopic(name, n, 1) for name, n in names.items()])
    admin.wait_for_topics(list(names))
    admin.close()


@contextmanager
def worker(folder: Path, bootstrap: str, store: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `detector run`."""
    pipeline = folder / "pipeline.toml"
    pipeline.write_text(
        'artifact = "artifact"\nreference = "bank/reference"\n'
        '[source]\ntopics = ["access-events"]\ngroup = "detector"\n'
        '[alerts]\ntopic = "alerts"\n[dead_letters]\ntopic = "dead-letters"\n'
        '[telemetry]\naddress = "127.0.0.1:0"\n'
    )
    environment = {
        **os.environ,
        "DETECTOR_KAFKA_BOOTSTRAP": bootstrap,
        "DETECTOR_KAFKA_SESSION_TIMEOUT_S": "6",
        "DETECTOR_STORE": store,
    }
    start = "from detector.cli import main; main()"
    command = [sys.executable, "-c", start, "run", str(pipeline)]
    with (folder / "workers.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a consumer without a word."""
    say("kill -9 of one consumer: the other takes its partitions over")
    process.send_signal(signal.SIGKILL)


def send(bootstrap: str, events: Path, seconds: float) -> None:
    """Send the bank's events, evenly over some seconds."""
    lines = events.read_bytes().splitlines()
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20)
    started = time.monotonic()
    for number, line in enumerate(lines):
        early = started + seconds * number / len(lines) - time.monotonic()
        if early > 0.01:
            time.sleep(early)
        producer.send("access-events", line, str(orjson.loads(line)["user_id"]).encode())
    producer.flush()
    producer.close()
    say(f"{len(lines):,} events sent")


def show_alerts(bootstrap: str) -> None:
    """Print the first version of every alert."""
    consumer = KafkaConsumer(
        "alerts",
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    for record in consumer:
        alert = orjson.loads(record.value)
        if alert["version"] == 1:
            head = f"{alert['time'][:16]}  {alert['score']:5.1f}  {alert['severity']:8}"
            print(f"  {head}  {alert['user_id']}  {alert['explanation']['en']}", flush=True)


if __name__ == "__main__":
    main()
