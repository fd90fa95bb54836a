"""A dashboard → Grafana's JSON (schema version 41, Grafana 11 and newer)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from detector.dashboards.model import Column, Dashboard, Link, Panel, PromQl, Sources, Sql, Variable

TAG = "audit-anomaly-detector"
ALL = "'*'"
"""What a variable says for "All": Grafana puts it into a query as it stands."""

_SCHEMA_VERSION = 41
_N_COLUMNS = 24
_SEVERITY_COLORS = {
    "critical": "dark-red",
    "high": "orange",
    "medium": "yellow",
    "low": "light-blue",
}
# What `detector dashboards push --store` brings, for stores that Grafana does not reach.
_PUSHED: dict[str, Any] = {
    "name": "Pushed alerts · 推送的告警",
    "enable": False,
    "hide": False,
    "iconColor": "orange",
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "target": {"type": "tags", "tags": [TAG], "matchAny": False, "limit": 500},
}
_MARKS = """select opened as time, detector || ' ' || severity as text, severity as tags
from alerts_latest
where $__timeFilter(opened) and severity = 'critical'
order by score desc limit 200"""


def rendered(dashboard: Dashboard, sources: Sources) -> str:
    """Return the dashboard's file."""
    return json.dumps(to_json(dashboard, sources), ensure_ascii=False, indent=1) + "\n"


def to_json(dashboard: Dashboard, sources: Sources) -> dict[str, Any]:
    """Return the dashboard as Grafana keeps it, without its version."""
    variables = [_constant("console_url", sources.console_url.rstrip("/"))]
    variables += [_variable(one, sources) for one in dashboard.variables]
    places = _places(dashboard.panels)
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": dashboard.refresh,
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "links": [_all_of_ours()],
        "templating": {"list": variables},
        "annotations": {"list": [_marks(sources), _PUSHED] if dashboard.marks_alerts else []},
        "panels": [
            _panel(panel, number, place, sources)
            for number, (panel, place) in enumerate(
                zip(dashboard.panels, places, strict=True), start=1
            )
        ],
    }


def _places(panels: tuple[Panel, ...]) -> Iterator[dict[str, int]]:
    """Lay panels from left to right; a line is as high as its highest panel."""
    x = y = height = 0
    for panel in panels:
        if x + panel.width > _N_COLUMNS:
            x, y, height = 0, y + height, 0
        yield {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, height = x + panel.width, max(height, panel.height)


def _source(query: Sql | PromQl, sources: Sources) -> dict[str, str]:
    if isinstance(query, Sql):
        return {"type": "grafana-postgresql-datasource", "uid": sources.postgresql}
    return {"type": "prometheus", "uid": sources.prometheus}


def _target(query: Sql | PromQl, number: int, sources: Sources) -> dict[str, Any]:
    common = {
        "refId": chr(ord("A") + number),
        "datasource": _source(query, sources),
        "editorMode": "code",
    }
    if isinstance(query, Sql):
        shape = "time_series" if query.is_series else "table"
        return {**common, "rawQuery": True, "format": shape, "rawSql": query.text}
    return {
        **common,
        "expr": query.text,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "format": "table" if query.instant and not query.legend else "time_series",
    }


def _panel(panel: Panel, number: int, place: dict[str, int], sources: Sources) -> dict[str, Any]:
    options = {
        "stat": _stat,
        "timeseries": _timeseries,
        "table": _table,
        "bargauge": _bargauge,
    }[panel.kind]()
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": _source(panel.queries[0], sources),
        "targets": [_target(query, n, sources) for n, query in enumerate(panel.queries)],
        "options": options,
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": [*map(_override, panel.columns), *map(_colored, _SEVERITY_COLORS.items())],
        },
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "unit": panel.unit,
        "links": [_link(link) for link in panel.links],
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": color} for value, color in panel.steps],
        },
    }
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "bars" if panel.as_bars else "line",
            "fillOpacity": 80 if panel.as_bars else 10,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    return found


def _stat() -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }


def _timeseries() -> dict[str, Any]:
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _table() -> dict[str, Any]:
    return {"cellHeight": "sm", "showHeader": True}


def _bargauge() -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": True},
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
    }


def _override(column: Column) -> dict[str, Any]:
    wanted = {
        "displayName": column.title,
        "unit": column.unit,
        "custom.width": column.width,
        "color": column.color and {"mode": "fixed", "fixedColor": column.color},
        "links": column.link and [_link(column.link)],
        "custom.cellOptions": column.as_bar and {"type": "gauge", "mode": "basic"},
        "custom.hidden": column.is_hidden,
    }
    properties = [{"id": key, "value": value} for key, value in wanted.items() if value]
    if column.decimals is not None:
        properties.append({"id": "decimals", "value": column.decimals})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _colored(severity: tuple[str, str]) -> dict[str, Any]:
    name, color = severity
    value = {"mode": "fixed", "fixedColor": color}
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "color", "value": value}],
    }


def _link(link: Link) -> dict[str, Any]:
    return {"title": link.title, "url": link.url, "targetBlank": True}


def _all_of_ours() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Detector · 检测",
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _constant(name: str, value: str) -> dict[str, Any]:
    return {
        "type": "constant",
        "name": name,
        "query": value,
        "current": {"text": value, "value": value},
        "hide": 2,
        # Else an address with `var-console_url=` in it would lead analysts to another console.
        "skipUrlSync": True,
    }


def _variable(variable: Variable, sources: Sources) -> dict[str, Any]:
    query = variable.query
    is_sql = isinstance(query, Sql)
    found: dict[str, Any] = {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": _source(query, sources),
        "query": query.text if is_sql else {"query": query.text, "refId": "A"},
        "refresh": 2,  # when the time range changes
        "sort": 0,
        "regex": "",
        "hide": 0,
        "multi": variable.many,
        "includeAll": variable.many,
    }
    if variable.many:
        found["allValue"] = ALL if is_sql else ".*"
        found["current"] = {"text": ["All"], "value": ["$__all"]}
    return found


def _marks(sources: Sources) -> dict[str, Any]:
    return {
        "name": "Critical alerts · 严重告警",
        "enable": True,
        "hide": False,
        "iconColor": "dark-red",
        "datasource": _source(Sql(""), sources),
        "target": {
            "refId": "Anno",
            "format": "table",
            "rawQuery": True,
            "editorMode": "code",
            "rawSql": _MARKS,
        },
    }
