"""Grafana's provisioning files: data sources, folders, alert rules, contact points."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import yaml

from detector.dashboards.model import Sources
from detector.dashboards.push import FOLDER_TITLE, FOLDER_UID
from detector.store import open_store
from detector.store.base import Checkpoint
from detector.store.roles import make_roles
from tests.conftest import ROOT
from tests.contracts.alerts import an_alert
from tests.grafana import sql
from tests.parts.postgresql import Server

FOLDER = ROOT / "docker" / "grafana" / "provisioning"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerting" / "rules.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])


def content(name: str) -> Any:
    """Content of a provisioning file."""
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def test_data_sources_are_those_of_the_dashboards() -> None:
    """The database as the role that reads views only; its password is a file."""
    found = {one["uid"]: one for one in content("datasources/detector.yaml")["datasources"]}
    store = found[Sources().postgresql]

    assert set(found) == {Sources().postgresql, Sources().prometheus}
    assert store["user"] == "grafana_ro"
    assert store["secureJsonData"] == {"password": "$__file{/run/secrets/grafana-ro-password}"}


def test_dashboards_and_rules_are_in_the_folder_that_push_uses() -> None:
    """Whoever changes from files to pushing finds one folder, not two."""
    (provider,) = content("dashboards/detector.yaml")["providers"]
    folders = {group["folder"] for group in content("alerting/rules.yaml")["groups"]}

    assert (provider["folder"], provider["folderUid"]) == (FOLDER_TITLE, FOLDER_UID)
    assert folders == {FOLDER_TITLE}


def test_every_rule_goes_to_a_contact_point_that_exists() -> None:
    """Routes by team; the rest to security operations."""
    told = content("alerting/contact-points.yaml")
    points = {one["name"] for one in told["contactPoints"]}
    (policy,) = told["policies"]
    routed = {route["object_matchers"][0][2]: route["receiver"] for route in policy["routes"]}

    assert {policy["receiver"], *routed.values()} == points
    assert {rule["labels"]["team"] for rule in RULES} == {policy["receiver"], *routed}
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


@EACH
def test_a_rule_hangs_together(rule: dict[str, Any]) -> None:
    """Its question, then a threshold on it; its texts in both languages; its runbook is there."""
    asked, above = rule["data"]

    assert rule["condition"] == above["refId"] == above["model"]["refId"]
    assert above["model"]["expression"] == asked["refId"] == asked["model"]["refId"]
    assert asked["datasourceUid"] == Sources().postgresql
    assert " · " in rule["title"]
    assert " · " in rule["annotations"]["summary"]
    runbook = rule["annotations"].get("runbook")
    assert runbook is None or (ROOT / runbook).is_file()


@pytest.fixture(scope="module")
def database(postgresql: Server) -> str:
    """A store with a critical and a high alert that nobody has touched, just now."""
    url = postgresql.create("grafana_rules")
    store = open_store(url)
    claim = store.claim("access/0", "one")
    layout = {"layout": {"a": ["|u1", [3]]}}
    store.commit(claim, Checkpoint(1, layout), [an_alert(), an_alert("u2")], [("a", 0, b"abc")])
    store.close()
    with psycopg.connect(url, autocommit=True) as db:
        make_roles(db)
        db.execute(
            "update episode set severity = 'high', "
            "opened_ms = (extract(epoch from now()) * 1000)::bigint"
        )
        db.execute("update episode set severity = 'critical' where user_id = 'u2'")
    return "grafana_rules"


def fires(rule: dict[str, Any], postgresql: Server, database: str) -> bool:
    """Ask as Grafana does, as its role, and hold the answer to the threshold."""
    asked, above = rule["data"]
    with psycopg.connect(postgresql.url(database, "grafana_ro")) as db:
        span = db.execute(
            "select to_char(now() - %s * interval '1 s', 'YYYY-MM-DD HH24:MI:SSOF'), "
            "to_char(now(), 'YYYY-MM-DD HH24:MI:SSOF')",
            (asked["relativeTimeRange"]["from"],),
        ).fetchone()
        assert span is not None
        ((answer,),) = db.execute(sql(asked["model"]["rawSql"], {}, span).encode()).fetchall()
    (condition,) = above["model"]["conditions"]
    return bool(answer > condition["evaluator"]["params"][0])


CASES = {
    "detector-critical-unopened": "update episode set opened_ms = opened_ms - 3600000",
    "detector-undecided": "update episode set opened_ms = opened_ms - 4 * 86400000::bigint",
    "detector-stream-unsaved": "update checkpoint set saved_ms = saved_ms - 2 * 86400000::bigint",
}
QUIET = {
    "detector-critical-unopened": "update episode set severity = 'high'",
    "detector-undecided": "insert into triage (alert_id, status, verdict, changed_ms, changed_by) "
    "select alert_id, 'closed', 'benign', 1, 'chen' from episode",
    "detector-stream-unsaved": "update checkpoint set stream = 'replay'",
}


@EACH
def test_a_rule_fires_where_it_should_and_nowhere_else(
    rule: dict[str, Any], postgresql: Server, database: str
) -> None:
    """Quiet at first, then something has waited too long, then it is dealt with."""
    before = fires(rule, postgresql, database)
    with psycopg.connect(postgresql.url(database), autocommit=True) as db:
        db.execute("set session_replication_role = replica")  # keys of other tables do not matter
        db.execute(CASES[rule["uid"]])
        waited = fires(rule, postgresql, database)
        db.execute(QUIET[rule["uid"]])
        dealt_with = fires(rule, postgresql, database)

    assert (before, waited, dealt_with) == (False, True, False)


def test_every_rule_has_a_case() -> None:
    """A rule that never fired anywhere is a hope."""
    assert set(CASES) == set(QUIET) == {rule["uid"] for rule in RULES}
