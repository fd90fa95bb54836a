"""Every question of every dashboard has an answer, on a real PostgreSQL and a real Prometheus."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from detector.hosts.replay import ReplayOptions, replay
from detector.store import open_store
from detector.store.roles import make_roles
from detector.telemetry import Address, BatchReport, Metrics, Telemetry
from tests.conftest import ROOT
from tests.grafana import promql, sql, targets
from tests.parts.postgresql import Server
from tests.parts.prometheus import Prometheus, prometheus

PAGES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(target, id=f"{uid}-{panel['id']}{target['refId']}")
    for uid, page in PAGES.items()
    for panel in [*page["panels"], *({"id": "marks", **one} for one in page["annotations"]["list"])]
    for target in targets(panel)
]
VARIABLES = [
    pytest.param(one["query"], id=f"{uid}-{one['name']}")
    for uid, page in PAGES.items()
    for one in page["templating"]["list"]
    if one["type"] == "query"
]
# As the console would: some judged, some opened, some untouched.
_TRIAGE = """
insert into triage (alert_id, status, verdict, assignee, first_look_ms, decided_ms, changed_ms, changed_by)
select alert_id, case when n % 4 = 0 then 'acknowledged' else 'closed' end,
    case n % 4 when 1 then 'confirmed' when 2 then 'benign' when 3 then 'wrong_team' end, 'chen',
    arrived_ms + 60000, case when n % 4 > 0 then arrived_ms + 600000 end, 1, 'chen'
from (select *, row_number() over (order by score desc) as n from episode) as e
where n % 8 > 0
"""  # noqa: E501


@pytest.fixture(scope="module")
def store(postgresql: Server, bank: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store filled by a replay of the small bank, some of it judged; read as Grafana reads."""
    url = postgresql.create("grafana")
    options = ReplayOptions(
        events=str(bank / "events.jsonl"),
        reference=bank / "reference",
        min_score=2.0,
        store=url,
        rejects=tmp_path_factory.mktemp("grafana") / "rejects.jsonl",
    )
    replay(options)
    with psycopg.connect(url, autocommit=True) as db:
        make_roles(db)
        db.execute(_TRIAGE)
        db.execute("update episode set severity = 'critical' where score > 8")
    return postgresql.url("grafana", "grafana_ro")


def ask(url: str, text: str) -> list[dict[str, Any]]:
    """Return the rows of a question."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as db:
        return db.execute(text.encode()).fetchall()


def employee(url: str) -> str:
    """The riskiest one, which the page of an employee opens with."""
    (row,) = ask(url, "select user_id from employee_risk order by risk desc limit 1")
    return str(row["user_id"])


@pytest.mark.parametrize("target", [one for one in PANELS if "rawSql" in one.values[0]])
def test_every_panel_s_sql_has_an_answer(target: dict[str, Any], store: str) -> None:
    """As role grafana_ro; a series has its time first and in order."""
    rows = ask(store, sql(target["rawSql"], {"user": employee(store)}))

    assert rows
    assert any(value is not None for row in rows for value in row.values())
    if target["format"] == "time_series":
        times = [row["time"] for row in rows]
        assert times == sorted(times)


@pytest.mark.parametrize("target", [one for one in PANELS if "rawSql" in one.values[0]])
def test_every_panel_s_sql_runs_on_an_empty_store(target: dict[str, Any], empty: str) -> None:
    """A new installation shows no red corners."""
    ask(empty, sql(target["rawSql"], {"user": ""}))


@pytest.fixture(scope="module")
def empty(postgresql: Server) -> str:
    """A store that has just been made."""
    url = postgresql.create("grafana_empty")
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as db:
        make_roles(db)
    return postgresql.url("grafana_empty", "grafana_ro")


@pytest.mark.parametrize("query", [one for one in VARIABLES if isinstance(one.values[0], str)])
def test_every_variable_has_values(query: str, store: str) -> None:
    """One column of texts, none of them missing."""
    values = [value for row in ask(store, sql(query, {})) for value in row.values()]

    assert values
    assert all(isinstance(value, str) for value in values)


@pytest.mark.parametrize("name", ["branch", "role", "detector", "severity"])
def test_a_chosen_value_leaves_its_rows_only(name: str, store: str) -> None:
    """And all of them, whatever stands in it."""
    page = PAGES["detector-overview"]
    column = {"branch": "user_branch", "role": "user_role"}.get(name, name)
    (query,) = [one["query"] for one in page["templating"]["list"] if one["name"] == name]
    (table,) = [one for one in targets(page["panels"]) if "select alert_id," in one["rawSql"]]
    every = ask(store, sql(table["rawSql"].replace("limit 200", ""), {}))
    for row in ask(store, sql(query, {})):
        (value,) = row.values()
        chosen = ask(store, sql(table["rawSql"].replace("limit 200", ""), {name: value}))
        assert chosen == [one for one in every if one[column] == value]

    assert ask(store, sql(table["rawSql"], {name: "'; drop table alert; --"})) == []


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Telemetry]]:
    """Prometheus with our rules, scraping a host of ours."""
    folder, docker = tmp_path_factory.mktemp("metrics"), ROOT / "docker" / "prometheus"
    declared = Metrics(sources=["core"], sinks=["siem"], limits=["dead_letters"])
    with Telemetry(declared, ["store"], address=Address("127.0.0.1", 0)) as telemetry:
        assert telemetry.address is not None
        config = (docker / "prometheus.yml").read_text("utf-8").replace("15s", "500ms")
        config = config.replace("consumer:9464", f"127.0.0.1:{telemetry.address.port}")
        config = re.sub(r"- (\w+\.yml)", rf"- {docker}/\1", config)
        (folder / "prometheus.yml").write_text(config)
        with prometheus(folder / "prometheus.yml", folder) as server:
            yield server, telemetry


def work(telemetry: Telemetry) -> None:
    """A turn of a host's loop."""
    now = time.time_ns()
    telemetry.batch(
        BatchReport("core", 10, 0.1, rejects={"not_json": 1}, newest_event_ns=now - 10**9)
    )
    telemetry.checkpoint(0.02)
    telemetry.artifact(now - 10**12)
    held = telemetry.metrics
    held.alerts.labels("bulk_read", "high").inc()
    held.consumer_lag.labels("core", "0").set(7)
    held.partitions.set(1)
    held.state_actors.set(60)
    held.state_bytes.set(500_000)
    held.raw_fetch.set(1)
    held.sink_delivered.labels("siem").inc()


def test_every_panel_s_promql_has_an_answer(metrics: tuple[Prometheus, Telemetry]) -> None:
    """Scraped from a real port, with the recording rules of docker/prometheus."""
    server, telemetry = metrics
    asked = [one.values[0]["expr"] for one in PANELS if "expr" in one.values[0]]
    missing = [promql(text) for text in asked]
    until = time.monotonic() + 60
    while missing and time.monotonic() < until:
        work(telemetry)
        time.sleep(0.3)
        missing = [text for text in missing if not server.get("query", query=text)["result"]]

    assert len(asked) > 30
    assert missing == []


@pytest.mark.parametrize("query", [one for one in VARIABLES if isinstance(one.values[0], dict)])
def test_every_variable_of_prometheus_has_values(
    query: dict[str, str], metrics: tuple[Prometheus, Telemetry]
) -> None:
    """`label_values(metric, label)` asks for these."""
    (found,) = re.findall(r"^label_values\((\w+), (\w+)\)$", query["query"])

    assert "core" in metrics[0].get(f"label/{found[1]}/values", **{"match[]": found[0]})
