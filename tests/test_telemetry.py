"""Operators see what happens, and nobody's name or password."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from detector.alerts import Alert
from detector.engine import _COUNTERS
from detector.errors import OptionError
from detector.telemetry import (
    Address,
    BatchReport,
    Health,
    Logs,
    Metrics,
    Redactor,
    Telemetry,
    parse_address,
)
from detector.telemetry.http import _MAX_REQUESTS
from detector.telemetry.metrics import LIMITS

ANYWHERE = Address("127.0.0.1", 0)
NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture
def stream() -> io.StringIO:
    """Where the log goes."""
    return io.StringIO()


@pytest.fixture
def telemetry(stream: io.StringIO) -> Iterator[Telemetry]:
    """Telemetry of a host with two topics and one sink, listening."""
    metrics = Metrics(sources=["raw", "cards"], sinks=["siem"])
    with Telemetry(
        metrics,
        ["store", "kafka"],
        address=ANYWHERE,
        logs=Logs(secrets=("hunter2",), stream=stream),
        clock_ns=lambda: NOW_NS,
    ) as telemetry:
        yield telemetry


def get(telemetry: Telemetry, path: str) -> httpx.Response:
    """Ask the port."""
    assert telemetry.address is not None
    host, port = telemetry.address
    return httpx.get(f"http://{host}:{port}{path}", trust_env=False)


def samples(telemetry: Telemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what a scrape says, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(get(telemetry, "/metrics").text)
        for sample in family.samples
    }


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Return the log, line by line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def alert(**fields: object) -> Alert:
    """Return an alert of a named person."""
    told = {"alert_id": "a1", "version": 1, "detector": "bulk_read", "severity": "high"}
    return Alert({**told, "user_id": "u00017", **fields})


def report(**facts: object) -> BatchReport:
    """Return the report of a batch in which everything happened."""
    told: dict[str, object] = {
        "source": "raw",
        "n_events": 10,
        "seconds": 0.02,
        "rejects": {"not_json": 2},
        "alerts": [alert(), alert(version=2)],
        "counts": {"late": 3, "duplicates": 1, "tail_limit": 4, "unscored": 0},
        "newest_event_ns": NOW_NS - 5_000_000_000,
    }
    return BatchReport(**{**told, **facts})  # type: ignore[arg-type]


def test_a_batch_is_counted_and_has_one_line(telemetry: Telemetry, stream: io.StringIO) -> None:
    """What was read, refused, raised and limited, by bounded labels."""
    telemetry.batch(report())

    found = samples(telemetry)
    raw = ("source", "raw")
    for name, labels, value in (
        ("detector_events_total", {raw}, 10),
        ("detector_rejects_total", {raw, ("reason", "not_json")}, 2),
        ("detector_late_events_total", {raw}, 3),
        ("detector_duplicates_total", {raw}, 1),
        ("detector_alerts_total", {("detector", "bulk_read"), ("severity", "high")}, 1),
        ("detector_alert_versions_total", set(), 2),
        ("detector_limit_hits_total", {("limit", "tail_limit")}, 4),
        ("detector_event_time_lag_seconds", {raw}, 5),
        ("detector_last_event_timestamp_seconds", {raw}, NOW_NS / 1e9),
        ("detector_batch_seconds_count", set(), 1),
    ):
        assert found[name, frozenset(labels)] == value, name
    (line,) = lines(stream)
    assert line.pop("time")
    assert line == {
        "level": "warning",
        "event": "batch",
        "source": "raw",
        "events": 10,
        "seconds": 0.02,
        "alerts": 2,
        "rejects": {"not_json": 2},
        "limits": {"tail_limit": 4},
    }


def test_no_metric_and_no_line_names_a_person(telemetry: Telemetry, stream: io.StringIO) -> None:
    """Whatever an event says ends up under `other`: labels are bounded and hold no ids."""
    telemetry.batch(
        report(
            source="u00017",
            rejects={"u00017": 1},
            alerts=[alert(detector="u00017", severity="u00017")],
        )
    )

    assert "u00017" not in get(telemetry, "/metrics").text
    found = samples(telemetry)
    others = {("detector", "other"), ("severity", "other")}
    assert found["detector_alerts_total", frozenset(others)] == 1
    assert found["detector_events_total", frozenset({("source", "other")})] == 10
    assert "alert_id" not in stream.getvalue()


def test_declared_series_exist_before_the_first_event(telemetry: Telemetry) -> None:
    """A counter that begins at 1 has no increase: its first reject would be overlooked."""
    found = samples(telemetry)

    for source in ("raw", "cards", "other"):
        labels = frozenset({("source", source), ("reason", "not_utf8")})
        assert found["detector_rejects_total", labels] == 0
    assert found["detector_sink_failures_total", frozenset({("sink", "siem")})] == 0


def test_every_limit_of_the_engine_has_a_series() -> None:
    """A limit without a counter would be silence."""
    assert set(LIMITS) == {"unscored", *(name for name in _COUNTERS if name.endswith("_limit"))}


def test_a_partition_that_has_left_is_told_no_more(telemetry: Telemetry) -> None:
    """Its lag is another host's to tell; ours would stand still and alarm forever."""
    telemetry.metrics.consumer_lag.labels("raw", "3").set(7)
    telemetry.metrics.forget_partition("raw", 3)

    assert "detector_consumer_lag_events{" not in get(telemetry, "/metrics").text


def test_the_age_of_an_artifact_is_told_at_every_scrape(telemetry: Telemetry) -> None:
    """It grows though nothing happens."""
    telemetry.artifact(NOW_NS - 86_400_000_000_000)

    assert samples(telemetry)["detector_artifact_age_seconds", frozenset()] == 86_400


def test_checkpoints_are_timed_and_their_failures_counted(
    telemetry: Telemetry, stream: io.StringIO
) -> None:
    """An operator sees which, and why."""
    telemetry.checkpoint(0.2)
    telemetry.checkpoint_failed("disk is full")

    found = samples(telemetry)
    assert found["detector_checkpoint_seconds_count", frozenset()] == 1
    assert found["detector_last_checkpoint_timestamp_seconds", frozenset()] == NOW_NS / 1e9
    assert found["detector_checkpoint_failures_total", frozenset()] == 1
    assert lines(stream)[-1]["why"] == "disk is full"


def test_ready_means_every_named_check(telemetry: Telemetry) -> None:
    """And the answer says which one is not, without a password."""
    telemetry.health.good("kafka")
    telemetry.health.bad("store", "postgresql://writer:pw@db/x refused hunter2")
    answer = get(telemetry, "/readyz")

    assert answer.status_code == 503
    problems = {"store": "postgresql://***@db/x refused ***"}
    good = {
        name: samples(telemetry)["detector_check_good", frozenset({("check", name)})]
        for name in ("kafka", "store")
    }
    assert good == {"kafka": 1, "store": 0}
    assert answer.json() == {"ready": False, "problems": problems}
    telemetry.health.good("store")
    assert get(telemetry, "/readyz").status_code == 200


def test_an_unready_host_is_alive(telemetry: Telemetry) -> None:
    """A restart does not bring back a store that is down."""
    telemetry.health.bad("store", "down")

    assert get(telemetry, "/healthz").json() == {"alive": True}


def test_a_loop_that_has_stopped_turning_is_dead() -> None:
    """Before its first turn it is starting, however long that takes."""
    now = [0.0]
    health = Health([], stalled_after_s=60, clock=lambda: now[0])
    now[0] = 1_000.0
    assert health.is_alive
    health.beat()
    now[0] = 1_059.0
    assert health.is_alive
    now[0] = 1_061.0

    assert not health.is_alive


def test_a_check_that_nobody_declared_is_a_mistake() -> None:
    """A misspelt name would leave the declared one `starting` for ever."""
    with pytest.raises(KeyError):
        Health(["store"]).good("stroe")


def test_other_pages_and_methods_are_refused(telemetry: Telemetry) -> None:
    """The port answers three questions."""
    assert get(telemetry, "/etc/passwd").status_code == 404
    assert telemetry.address is not None
    url = f"http://127.0.0.1:{telemetry.address.port}/metrics"
    assert httpx.post(url, content=b"x", trust_env=False).status_code == 405
    assert httpx.head(url, trust_env=False).status_code == 200


def test_idle_connections_cannot_exhaust_the_host(telemetry: Telemetry) -> None:
    """Beyond the limit they are closed; when one goes, the next scrape is answered."""
    assert telemetry.address is not None
    idle = [socket.create_connection(telemetry.address) for _ in range(_MAX_REQUESTS)]
    with socket.create_connection(telemetry.address) as one_more:
        one_more.settimeout(10)
        assert one_more.recv(1) == b""
    for connection in idle:
        connection.shutdown(socket.SHUT_RDWR)
        while connection.recv(4096):
            pass
        connection.close()

    assert answered_soon(telemetry)


def answered_soon(telemetry: Telemetry) -> bool:
    """Tell whether a scrape is answered within a few tries: threads end a moment later."""
    for _ in range(100):
        try:
            return get(telemetry, "/healthz").status_code == 200
        except httpx.TransportError:
            continue
    return False


def test_the_port_is_on_loopback_unless_told_otherwise() -> None:
    """Nothing on it is authenticated."""
    assert parse_address("9000", "metrics").host == "127.0.0.1"
    assert parse_address("0.0.0.0:9000", "metrics") == ("0.0.0.0", 9000)  # noqa: S104


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "host:-1", "h:²"])
def test_a_wrong_address_names_its_setting(text: str) -> None:
    """One sentence: place, value, remedy."""
    with pytest.raises(OptionError, match=r"^DETECTOR_METRICS: is no address"):
        parse_address(text, "DETECTOR_METRICS")


def test_a_port_that_is_taken_is_an_error_that_names_it(telemetry: Telemetry) -> None:
    """And not a host without metrics."""
    assert telemetry.address is not None
    second = Telemetry(Metrics(), address=telemetry.address)
    with pytest.raises(OptionError, match=rf"^127\.0\.0\.1:{telemetry.address.port}: cannot"):
        second.__enter__()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://writer:S3CRET@db/alerts",
        "postgresql://writer:S3/CRET@db/alerts",
        "Authorization: Bearer S3CRET-S3CRET",
        "sasl_plain_password='S3CRET'",
        '{"api_key": "S3CRET"}',
        "token=S3CRET;x",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    """Libraries write their connection strings into their errors."""
    assert "CRET" not in Redactor().text(text)


def test_secrets_are_hidden_by_key_at_any_depth(telemetry: Telemetry, stream: io.StringIO) -> None:
    """Also in values nobody declared, and in exceptions."""
    telemetry.log.info("x", kafka={"sasl_password": "p1", "sasl": ["hunter2"]}, api_key="p2")
    try:
        int("hunter2")
    except ValueError:
        telemetry.log.exception("failed")

    text = stream.getvalue()
    assert not any(secret in text for secret in ("p1", "p2", "hunter2"))
    assert text.count("***") >= 4


@given(st.text())
def test_no_text_breaks_a_log_line(text: str) -> None:
    """One line of printable ASCII that reads back: no ANSI, no bidi, no second line."""
    stream = io.StringIO()
    Telemetry(Metrics(), address=None, logs=Logs(stream=stream)).log.info("x", value=text)

    line = stream.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert "value" in json.loads(line)


def test_a_megabyte_is_cut(telemetry: Telemetry, stream: io.StringIO) -> None:
    """A log is no place for it."""
    telemetry.log.info("x", name="n" * 1_000_000, many=[float("nan")] * 100_000)

    assert len(stream.getvalue()) < 4_000


@pytest.mark.usefixtures("telemetry")
def test_warnings_of_libraries_come_as_json_too(stream: io.StringIO) -> None:
    """The Kafka client logs what went wrong; not what went well."""
    logging.getLogger("kafka.conn").warning("lost %s\n%s", "kafka://me:pw@host", "hunter2")
    logging.getLogger("httpx").info("GET https://host/secret-path")

    (line,) = lines(stream)
    assert line["event"] == "lost kafka://***@host\n***"
    assert (line["level"], line["logger"]) == ("warning", "kafka.conn")
