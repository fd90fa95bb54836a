"""The committed dashboards are the code's, fit Grafana's own types, and ask what exists."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft7Validator

from detector.dashboards.catalogue import DASHBOARDS, files
from detector.dashboards.model import Dashboard, Panel, Sources
from detector.dashboards.render import to_json
from tests.conftest import ROOT

FOLDER = ROOT / "docker" / "grafana" / "dashboards"
SCHEMA = json.loads((ROOT / "tests" / "schemas" / "grafana_dashboard.json").read_text("utf-8"))
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Panels as Grafana gets them."""
    found: list[dict[str, Any]] = to_json(dashboard, Sources())["panels"]
    return found


def test_the_committed_files_are_what_the_code_builds() -> None:
    """`detector dashboards build` after a change; nobody edits them by hand."""
    held = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}

    assert held == files(Sources())


@EACH
def test_a_dashboard_has_grafana_s_own_types(dashboard: Dashboard) -> None:
    """Those of npm's @grafana/schema, options of each kind of panel included, nothing unknown."""
    wrong = [
        f"{list(error.absolute_path)}: {error.message[:300]}"
        for error in Draft7Validator(SCHEMA).iter_errors(to_json(dashboard, Sources()))
    ]

    assert wrong == []


def test_the_types_refuse_what_grafana_does_not_know() -> None:
    """A schema that takes everything would hold nothing."""
    content = to_json(DASHBOARDS[0], Sources())
    content["panels"][0]["options"]["colourMode"] = "value"

    assert not Draft7Validator(SCHEMA).is_valid(content)


@EACH
def test_every_title_is_in_english_and_chinese(dashboard: Dashboard) -> None:
    """One set serves both: English first, then Chinese."""
    titles = [dashboard.title, *(panel.title for panel in dashboard.panels)]
    titles += [variable.title for variable in dashboard.variables]

    for title in titles:
        english, _, chinese = title.partition(" · ")
        assert english, title
        assert _CHINESE.search(chinese), title
        assert not _CHINESE.search(english), title


@EACH
def test_panels_fill_the_page_without_overlap(dashboard: Dashboard) -> None:
    """Grafana would push overlapping panels somewhere."""
    taken: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def shows_alerts(panel: Panel) -> bool:
    """Tell whether a row of a panel is an alert."""
    return panel.kind == "table" and "select alert_id," in panel.queries[0].text


@pytest.mark.parametrize(
    "panel",
    [one for dashboard in DASHBOARDS for one in dashboard.panels if shows_alerts(one)],
    ids=lambda panel: panel.title.split(" · ")[0],
)
def test_every_row_that_is_an_alert_leads_to_the_console(panel: Panel) -> None:
    """Grafana cannot acknowledge or comment; the console does."""
    assert [link.url for link in panel.links] == [
        "${console_url:raw}/alerts/${__data.fields.alert_id}"
    ]


def test_an_address_cannot_lead_to_another_console() -> None:
    """The console's address is a constant that no link into Grafana can set."""
    (constant,) = [
        one
        for one in to_json(DASHBOARDS[0], Sources(console_url="https://c.bank/"))["templating"][
            "list"
        ]
        if one["name"] == "console_url"
    ]

    assert constant["type"] == "constant"
    assert constant["query"] == constant["current"]["value"] == "https://c.bank"
    assert constant["skipUrlSync"] is True


def test_alerts_can_be_chosen_by_branch_role_detector_and_severity() -> None:
    """On the pages of whoever works through alerts; every variable is used on its page."""
    for dashboard in DASHBOARDS:
        names = {variable.name for variable in dashboard.variables}
        asked = json.dumps(panels(dashboard))
        assert all(f"${{{name}:" in asked or f"${name}" in asked for name in names)
        if dashboard.uid in {"detector-overview", "detector-quality"}:
            assert names == {"branch", "role", "detector", "severity"}


def test_another_server_s_data_sources_can_be_named() -> None:
    """An existing Grafana has its own."""
    sources = Sources(postgresql="bank-db", prometheus="bank-metrics")
    used = {
        found
        for text in files(sources).values()
        for found in re.findall(r'"uid": "([\w-]+)"\n', text)
        if not found.startswith("detector-")
    }

    assert used == {"bank-db", "bank-metrics"}
