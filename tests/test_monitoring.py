"""Rules, routes and runbooks: each alert fires where it should, and says what to do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.metrics import MetricWrapperBase

from detector.console.metrics import Metrics as ConsoleMetrics
from detector.telemetry import Address, BatchReport, Metrics, Telemetry
from tests.conftest import ROOT
from tests.console.conftest import GOLDEN, serving, write_alerts
from tests.parts.prometheus import Prometheus, prometheus, run

DOCKER = ROOT / "docker"
RULE_TESTS = sorted((DOCKER / "prometheus" / "tests").glob("*.yml"))
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
FROM_ELSEWHERE = {"up", "process_start_time_seconds"}


class Judged(NamedTuple):
    """A Prometheus that has judged a running host, and its rules by name."""

    server: Prometheus
    rules: dict[str, dict[str, Any]]


def declared() -> dict[str, tuple[tuple[str, ...], str]]:
    """Labels and meaning of every metric the program has, by the name it has on the wire."""
    metrics = [value for value in vars(Metrics()).values() if isinstance(value, MetricWrapperBase)]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): (
            tuple(metric._labelnames),
            metric._documentation,
        )
        for metric in metrics
    }


def on_the_wire() -> set[str]:
    """Every name that a query can ask for."""
    metrics = [value for value in vars(Metrics()).values() if isinstance(value, MetricWrapperBase)]
    names = {metric._name + end for metric in metrics for end in _SUFFIXES[metric._type]}
    return names | of_the_console()


def of_the_console() -> set[str]:
    """Every name on the console's own page."""
    console = ConsoleMetrics((), Telemetry(Metrics(sinks=["soar"]), address=None))
    families = console._registry.collect()
    return {family.name + end for family in families for end in _SUFFIXES[family.type]}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """Prometheus with our files, except for where it scrapes and how often."""
    folder = tmp_path_factory.mktemp("prometheus")
    store = f"sqlite:///{folder}/alerts.db"
    write_alerts(store, GOLDEN)
    with (
        Telemetry(
            Metrics(sources=["core"], sinks=["siem"]), ["store"], address=Address("127.0.0.1", 0)
        ) as telemetry,
        serving(store) as console,
    ):
        console.signed_in("analyst").get("/")
        assert telemetry.address is not None
        telemetry.batch(BatchReport("core", 10, 0.1, newest_event_ns=time.time_ns()))
        telemetry.metrics.limit_hits.labels("unscored").inc()
        config = (DOCKER / "prometheus" / "prometheus.yml").read_text("utf-8")
        config = config.replace("15s", "200ms").replace(
            "consumer:9464", f"127.0.0.1:{telemetry.address.port}"
        )
        config = config.replace("console:8080", console.base.removeprefix("http://"))
        config = re.sub(r"- (\w+\.yml)", rf"- {DOCKER}/prometheus/\1", config)
        (folder / "prometheus.yml").write_text(config)
        with prometheus(folder / "prometheus.yml", folder) as server:
            yield Judged(server, evaluated(server))


def evaluated(server: Prometheus) -> dict[str, dict[str, Any]]:
    """Return all rules once each of them has been evaluated on scraped samples."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        groups = server.get("rules")["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        rates = server.get("query", query='detector:events:rate5m{source="core"}')["result"]
        if rates and all(rule["health"] == "ok" for rule in rules.values()):
            return rules
        time.sleep(0.1)
    return pytest.fail(f"not evaluated: {server.get('rules')}")


def test_prometheus_takes_our_configuration() -> None:
    """Scrape configuration, recording and alerting rules."""
    run("promtool", "check", "config", DOCKER / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize("cases", RULE_TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_where_it_should_and_nowhere_else(cases: Path) -> None:
    """On made-up series, minute by minute or over days."""
    assert "SUCCESS" in run("promtool", "test", "rules", cases)


def test_no_alert_is_without_a_case(judged: Judged) -> None:
    """An alert that never fired anywhere is a hope."""
    cases = "".join(path.read_text("utf-8") for path in RULE_TESTS)
    fired = set(re.findall(r'alertname[=:] ?"?(Detector\w+)', cases))

    assert fired == alerting(judged)


def alerting(judged: Judged) -> set[str]:
    """Names of the alerting rules."""
    return {name for name, rule in judged.rules.items() if rule["type"] == "alerting"}


def test_every_rule_runs_on_a_real_host_s_metrics(judged: Judged) -> None:
    """Scraped by the real Prometheus from a real port: types and labels fit."""
    up = judged.server.get("query", query="up")["result"]

    assert {rule["health"] for rule in judged.rules.values()} == {"ok"}
    assert {sample["metric"]["job"]: sample["value"][1] for sample in up} == {
        "detector": "1", "console": "1",
    }  # fmt: skip


def test_rules_ask_only_for_metrics_that_exist(judged: Judged) -> None:
    """A renamed metric would make an alert silent for ever."""
    known = on_the_wire() | FROM_ELSEWHERE | set(judged.rules)
    queries = [re.sub(r'"[^"]*"|\{[^}]*\}', "", rule["query"]) for rule in judged.rules.values()]
    asked = {
        name
        for query in queries
        for name in re.findall(r"\b(?:detector[_:][\w:]+|up|process_\w+)\b", query)
    }

    assert asked <= known
    assert asked & FROM_ELSEWHERE == FROM_ELSEWHERE


def test_the_real_host_has_every_declared_series(judged: Judged) -> None:
    """What is told in the table is on the wire."""
    names = set(judged.server.get("label/__name__/values"))
    late = {"detector_consumer_lag_events"}  # from the first partition on

    assert on_the_wire() - late <= names


def test_the_page_names_the_console_s_metrics() -> None:
    """They are few: a sentence holds them."""
    page = (DOCKER / "README.md").read_text("utf-8")
    own = {name for name in of_the_console() if name.startswith("detector_console_")}
    told = set(re.findall(r"`(detector_console_\w+)`", page))

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in own} == told


def test_the_table_of_metrics_is_the_code_s() -> None:
    """docker/README: names, labels and meaning, in the order of the code."""
    page = (DOCKER / "README.md").read_text("utf-8")
    (table,) = re.findall(r"^\| metric \|.*\n\|[ |-]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    told = {}
    for line in table.splitlines():
        name, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        told[name.strip("`")] = (tuple(re.findall(r"`(\w+)`", labels)), meaning)

    assert list(told.items()) == list(declared().items())


def test_every_alert_says_how_urgent_it_is_and_has_a_page(judged: Judged) -> None:
    """At 3 a.m. nobody wants to look for what an alert means."""
    for name in alerting(judged):
        rule = judged.rules[name]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docker/runbooks/{name}.md"
    pages = {path.stem for path in (DOCKER / "runbooks").glob("*.md")}

    assert pages == alerting(judged)


@pytest.mark.parametrize("page", sorted((DOCKER / "runbooks").glob("*.md")), ids=lambda p: p.stem)
def test_a_runbook_has_its_four_parts(page: Path) -> None:
    """What it means, where to look, what to do, when it is over."""
    text = page.read_text("utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)

    assert parts[0] == f"# {page.stem}\n\n"
    assert [part.split("\n", 1)[0] for part in parts[1:]] == ["Means", "Look", "Do", "Afterwards"]
    assert all(len(part.split("\n", 1)[1].strip()) > 30 for part in parts[1:])
    asked = set(re.findall(r"\bdetector_\w+", text))
    assert asked <= on_the_wire() | set(declared())


def test_what_wakes_somebody_goes_to_the_one_on_call() -> None:
    """And what can wait does not."""
    config = DOCKER / "alertmanager" / "alertmanager.yml"
    run("amtool", "check-config", config)
    for severity in ("page", "ticket"):
        routed = run("amtool", "config", "routes", "test", f"--config.file={config}",
                     f"severity={severity}", "alertname=DetectorDown")  # fmt: skip
        assert routed.strip() == severity
