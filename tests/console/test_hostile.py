"""Hostile text in every field is text, wherever it is shown."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.console.conftest import GOLDEN, Served, serving, write_alerts

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; drop table triage; --",
    '=HYPERLINK("http://evil.example")',
    "{{ 7 * 7 }}{% raise %}",
    "\u202egnp.exe\u2066",
    "\x1b[31mred\x1b[0m",
    "a\r\nSet-Cookie: x=1",
    "javascript:alert(1)",
    "x" * 1_000_000,
]  # fmt: skip


def poisoned(text: str, number: int) -> dict[str, Any]:
    """Return an alert whose every text is this one."""
    line = GOLDEN[0]
    return {
        **line,
        "alert_id": f"{number:032x}",
        "user_id": text,
        "user_role": text,
        "user_branch": text,
        "event_ids": [text],
        "evidence": {**line["evidence"], "branch": text, "rule": text, "quantity": text},
        "explanation": {"en": text, "zh": text},
        "policy_digest": text,
        "artifact_digest": text,
    }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A console whose alerts an attacker wrote."""
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile')}/alerts.db"
    write_alerts(url, [poisoned(text, number) for number, text in enumerate(NASTY)])
    with serving(url) as found:
        yield found


@pytest.mark.parametrize("number", range(len(NASTY)))
def test_an_alert_full_of_it_is_shown_as_text(hostile: Served, number: int) -> None:
    """By somebody who sees real ids, so that each field is really there."""
    text, browser = NASTY[number], hostile.signed_in("investigator")
    alert_id = f"{number:032x}"
    assert (
        browser.post(f"/alerts/{alert_id}/comments", data={"text": text[:4_000]}).status_code < 400
    )
    for path in (f"/alerts/{alert_id}", f"/alerts/{alert_id}/pack"):
        page = browser.get(path)

        assert page.status_code == 200
        assert is_inert(page.text)


@pytest.mark.parametrize("path", ["/?view=all", "/overview", "/suppressions", "/identities"])
def test_lists_full_of_it_are_shown_as_text(hostile: Served, path: str) -> None:
    """Every row at once."""
    page = hostile.signed_in("investigator").get(path)

    assert page.status_code == 200
    assert is_inert(page.text)


def is_inert(page: str) -> bool:
    """Tell whether nothing of it became markup, template or script."""
    marks = ("<script>alert", "<img src=x", "49{%", 'href="javascript:')
    return not any(mark in page for mark in marks)


@pytest.mark.parametrize("text", NASTY[:-1])
def test_what_is_searched_for_is_text(hostile: Served, text: str) -> None:
    """In the search box, in every filter, in the cursor."""
    browser = hostile.signed_in("investigator")
    for name in (
        "q",
        "employee",
        "severity",
        "detector",
        "branch",
        "since",
        "cursor",
        "sort",
        "view",
    ):
        page = browser.get("/", params={"view": "all", name: text})
        assert page.status_code in {200, 422}, name
        assert is_inert(page.text), name

    assert browser.get("/?view=all").status_code == 200  # the tables are still there


def test_no_cell_of_the_csv_can_be_a_formula(hostile: Served) -> None:
    """A spreadsheet runs what begins with one of these; an apostrophe makes it text."""
    page = hostile.signed_in("investigator").get("/alerts.csv?view=all").text
    usual = csv.field_size_limit(2_000_000)
    try:
        cells = [cell for row in csv.reader(io.StringIO(page)) for cell in row]
    finally:
        csv.field_size_limit(usual)

    assert len(cells) > 100
    assert not [cell[:30] for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_header_cannot_be_smuggled_through_a_name(hostile: Served) -> None:
    """Line breaks in a view's name or query stay in the body."""
    sent = {"name": "a\r\nSet-Cookie: x=1", "query": "view=all\r\nSet-Cookie: x=1"}
    answer = hostile.signed_in("analyst").post("/views", data=sent)

    assert "x" not in answer.cookies


def test_words_of_a_language_do_not_exist_for_hostile_codes(hostile: Served) -> None:
    """A status or verdict nobody knows is refused in words."""
    browser = hostile.signed_in("analyst")
    path = f"/alerts/{0:032x}/triage"
    answer = browser.post(path, data={"row_version": 0, "status": NASTY[0]})

    assert answer.status_code == 422
    assert is_inert(answer.text)
