"""Alerts in the formats of others, held to what the others published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema
import orjson
import pytest

from detector.sinks.cef import cef
from detector.sinks.ecs import ecs
from detector.sinks.ocsf import ocsf
from detector.sinks.pseudonyms import Pseudonyms
from detector.sinks.settings import native, native_file
from tests.conftest import ROOT
from tests.contracts.alerts import an_alert
from tests.sinks.reading import read_cef
from tests.sinks.shapes import (
    ECS_TIMES,
    ECS_TYPES,
    ECS_TYPES_OF_CATEGORY,
    OCSF_DETECTION_FINDING,
)

GOLDEN = (ROOT / "tests" / "golden" / "alerts.jsonl").read_bytes().splitlines()
ALERTS = [json.loads(line) for line in GOLDEN]
KEY = Pseudonyms(b"0123456789abcdef", "test")


def leaves(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_every_golden_alert_is_a_valid_ocsf_detection_finding() -> None:
    """Against what OCSF 1.8.0 says of the attributes we use; others are not allowed."""
    validator = jsonschema.Draft202012Validator(OCSF_DETECTION_FINDING)
    for alert in ALERTS:
        validator.validate(json.loads(ocsf(alert)))


@pytest.mark.parametrize(
    "change",
    [
        {"class_uid": 2001},
        {"severity_id": 7},
        {"surprise": 1.0},
        {"time": "2026-03-02T10:41:07Z"},
        {"finding_info": {"title": "no uid"}},
        {"observables": [{"type_id": 9_999}]},
    ],
)
def test_the_ocsf_schema_tells_wrong_from_right(change: dict[str, Any]) -> None:
    """A schema that takes anything would prove nothing."""
    finding = {**json.loads(ocsf(ALERTS[0])), **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(finding, OCSF_DETECTION_FINDING)


def test_the_first_version_creates_and_the_next_update_the_same_finding() -> None:
    """A SIEM that knows findings shows one, not many."""
    first, second = (json.loads(ocsf(an_alert("u1", version=version).fields)) for version in (1, 2))

    assert [finding["activity_name"] for finding in (first, second)] == ["Create", "Update"]
    assert first["finding_info"]["uid"] == second["finding_info"]["uid"]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


def test_every_golden_alert_is_a_valid_ecs_document() -> None:
    """Each field is one of ECS 9.4.0 or below our own name, of its type, listed where it must."""
    for alert in ALERTS:
        document = json.loads(ecs(alert))
        del document["AuditAnomaly"]
        for name, value in leaves(document):
            assert_is_ecs(name, value)
        event = document["event"]
        assert event["kind"] == "alert"
        for category in event["category"]:
            assert set(event["type"]) <= ECS_TYPES_OF_CATEGORY[category]


def assert_is_ecs(name: str, value: object) -> None:
    """Hold one field to the published list."""
    assert isinstance(value, ECS_TYPES[name]), (name, value)
    if isinstance(value, list):
        assert all(isinstance(one, str) for one in value), (name, value)
    if name in ECS_TIMES:
        assert datetime.fromisoformat(str(value)).tzinfo is not None, name


def test_every_golden_alert_reads_back_from_cef() -> None:
    """By a reader that knows nothing but the standard's rules of escaping."""
    for alert in ALERTS:
        header, fields = read_cef(cef(alert).decode())

        assert header[4] == alert["detector"]
        assert fields["suid"] == alert["user_id"]
        assert fields["msg"] == alert["explanation"]["en"]
        assert fields["cs3"] == alert["explanation"]["zh"]
        assert fields["externalId"] == f"{alert['alert_id']}-{alert['version']}"
        assert float(fields["cfp1"]) == alert["score"]


def test_the_native_format_is_the_line_of_the_alerts_file() -> None:
    """To the byte in files; in requests the same content."""
    for line in GOLDEN:
        alert = json.loads(line)

        assert native_file(alert) == line
        assert orjson.loads(native(alert)) == alert


def test_stand_ins_hide_the_person_everywhere_and_always_in_the_same_way() -> None:
    """In ids, lists and texts; the same key gives the same stand-in, another key another."""
    alert = an_alert("u00017", version=2).fields
    told = {**alert, "explanation": {"en": "u00017 read much", "zh": "u00017"}}
    hidden = KEY.alert(told)

    text = json.dumps(hidden)
    for secret in ("u00017", alert["alert_id"], *alert["event_ids"]):
        assert f'"{secret}"' not in text
    assert "u00017" not in text
    assert hidden == KEY.alert(told)
    assert hidden["user_id"] == KEY.alert(an_alert("u00017", day=3).fields)["user_id"]
    assert hidden["user_id"] != Pseudonyms(b"fedcba9876543210", "x").alert(told)["user_id"]
    assert list(hidden) == list(told)


def test_versions_of_an_alert_stay_together_under_stand_ins() -> None:
    """Receivers join them by alert_id."""
    one, two = (KEY.alert(an_alert("u1", version=version).fields) for version in (1, 2))

    assert one["alert_id"] == two["alert_id"] != an_alert("u1").fields["alert_id"]
