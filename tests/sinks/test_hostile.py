"""Whatever stands in an alert stays text: in syslog, CEF, JSON, requests and log lines."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.events import is_clean
from detector.sinks.cef import cef
from detector.sinks.ecs import ecs
from detector.sinks.inert import MAX_TEXT
from detector.sinks.ocsf import ocsf
from detector.sinks.pseudonyms import Pseudonyms
from detector.sinks.settings import native, native_file
from detector.sinks.syslog import Receiver, SyslogSink
from tests.sinks.conftest import alerts
from tests.sinks.reading import SYSLOG, read_cef

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "sql": "'; drop table alert; --",
    "formula": "=cmd|' /C calc'!A0",
    "formula_at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "bidi": "u\u202e71000\u202c",
    "isolate": "\u2066u\u2069",
    "ansi": "\x1b[2J\x1b]0;owned\x07",
    "c1": "\x9b2J\x85",
    "newline": "u1\nCEF:0|x|y|1|z|owned|10|",
    "carriage": "u1\r\n<0>1 - - - - - owned",
    "separators": "a\u2028b\u2029c\x0bd\x0c",
    "nul": "a\x00b",
    "cef": "a|b\\|c\\=d=e suid=admin",
    "frame": '] [x@1 y="z"]',
    "surrogate": "\ud800",
    "long": "n" * 1_000_000,
    "format": "%s%n{0}${jndi:ldap://x}",
}
JSON_FORMATS = {"native": native, "native_file": native_file, "ecs": ecs, "ocsf": ocsf}
MAX_MESSAGE = 80_000


def poisoned(text: str) -> dict[str, Any]:
    """Put a text into every text field of an alert, at any depth, keys of evidence included."""
    alert = copy.deepcopy(alerts(1)[0])
    kept = {name: alert[name] for name in ("time", "first_event_time", "last_event_time")}

    def put(value: Any) -> Any:
        if isinstance(value, str):
            return text
        if isinstance(value, dict):
            return {key: put(item) for key, item in value.items()}
        return [put(item) for item in value] if isinstance(value, list) else value

    evidence = {**alert["evidence"], text: text}
    return {**put({**alert, "evidence": evidence}), **kept}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("format_", JSON_FORMATS.values(), ids=JSON_FORMATS.keys())
def test_json_stays_one_bounded_line_of_text(format_: Any, text: str) -> None:
    """It reads back, nothing in it acts on a terminal, and a page shows it as text."""
    line = format_(poisoned(text))

    decoded = line.decode()
    assert json.loads(line)
    assert is_clean(decoded)
    assert len(line) < MAX_MESSAGE
    if format_ is not native_file:
        assert not set("<>&") & set(decoded)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_cef_fields_hold_the_text_and_nothing_else(text: str) -> None:
    """No field is forged, no message begun; the text can be read back as far as it goes."""
    line = cef(poisoned(text)).decode()
    header, fields = read_cef(line)

    assert is_clean(line)
    assert len(line) < MAX_MESSAGE
    assert header[:4] == ["CEF:0", "audit-anomaly-detector", "detector", header[3]]
    assert fields["suid"] != "admin"
    assert list(fields) == list(read_cef(cef(alerts(1)[0]).decode())[1])
    if is_clean(text) and len(text) < 100:
        assert fields["suid"] == fields["msg"] == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("format_", [cef, native, ecs, ocsf])
def test_a_syslog_message_has_the_header_we_gave_it(format_: Any, text: str) -> None:
    """No second message, no forged severity, no control character."""
    message = SyslogSink("siem", Receiver("127.0.0.1", 1), format_).message(poisoned(text))

    found = SYSLOG.fullmatch(message)
    assert found is not None
    assert found["app"] == b"detector"
    assert int(found["pri"]) == 84  # a severity nobody knows is a warning
    assert is_clean(message.decode())


@given(st.text(), st.text())
def test_no_text_escapes_from_cef(user: str, role: str) -> None:
    """Any text whatever: as many fields as ever, and the clean ones to the letter."""
    alert = {**alerts(1)[0], "user_id": user, "user_role": role}
    _, fields = read_cef(cef(alert).decode())

    assert len(fields) == len(read_cef(cef(alerts(1)[0]).decode())[1])
    for text, got in ((user, fields["suid"]), (role, fields["cs1"])):
        assert is_clean(got)
        if is_clean(text):
            assert got == text


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=30))
def test_no_evidence_breaks_json(evidence: Any) -> None:
    """Any value of the alert's open parts, in every JSON format."""
    alert = {**alerts(1)[0], "evidence": {"x": evidence}}
    for format_ in JSON_FORMATS.values():
        assert is_clean(format_(alert).decode())


def test_what_was_cut_says_so() -> None:
    """A reader must not take a part for the whole."""
    got = json.loads(native(poisoned("n" * 1_000_000)))

    assert got["user_id"] == "n" * MAX_TEXT + "<cut>"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_stand_ins_take_any_id(text: str) -> None:
    """A person's number is whatever the source says it is."""
    alert = poisoned(text)
    hidden = Pseudonyms(b"0123456789abcdef", "x").alert(alert)

    assert hidden["user_id"].isalnum()
    assert list(hidden) == list(alert)
    if len(text) > 3:
        shown = {name: hidden[name] for name in ("user_id", "event_ids", "explanation", "evidence")}
        assert text not in json.loads(native(shown)).__repr__()


@pytest.mark.parametrize("user", ["7", "2026", "1042", "e0"])
def test_a_number_that_looks_like_others_spoils_nothing(user: str) -> None:
    """Staff numbers are digits in most banks, and so are days, counts and digests."""
    alert = {**alerts(1)[0], "user_id": user}
    hidden = Pseudonyms(b"0123456789abcdef", "x").alert(alert)

    same = set(alert) - {"alert_id", "user_id", "event_ids", "explanation", "evidence"}
    assert {name: hidden[name] for name in same} == {name: alert[name] for name in same}
    assert json.loads(ocsf(hidden))["time"] == json.loads(ocsf(alert))["time"]
