"""For operators: how far behind the present, per source, partition, stream and sink."""

from __future__ import annotations

from detector.dashboards.model import Column, Dashboard, Panel, PromQl, Sql, Variable

_SOURCE = 'source=~"$source"'


def _number(title: str, query: str, unit: str, bad: float) -> Panel:
    question = PromQl(query, title, instant=True)
    steps = ((None, "green"), (bad, "red"))
    return Panel("stat", title, (question,), width=6, height=4, unit=unit, steps=steps)


def _lines(title: str, query: str, legend: str, unit: str = "short", about: str = "") -> Panel:
    return Panel("timeseries", title, (PromQl(query, legend),), unit=unit, description=about)


_STREAMS = Panel(
    "table",
    "Streams in the store · 存储中的流",
    (
        Sql(
            "select stream, owner, checkpoint, saved, saved_seconds_ago, newest_event, "
            "event_seconds_ago\nfrom freshness order by saved_seconds_ago desc nulls first"
        ),
    ),
    width=24,
    columns=(
        Column("stream", "Stream · 流"),
        Column("owner", "Host · 主机"),
        Column("checkpoint", "Checkpoint · 检查点"),
        Column("saved", "Saved · 保存于", unit="dateTimeAsIso"),
        Column("saved_seconds_ago", "Saved before · 距保存", unit="s", decimals=0),
        Column("newest_event", "Newest event · 最新事件", unit="dateTimeAsIso"),
        Column("event_seconds_ago", "Event before · 距最新事件", unit="s", decimals=0),
    ),
    description="From the database, so it also shows a host that Prometheus does not reach.",
)

FRESHNESS = Dashboard(
    "detector-freshness",
    "Lag and freshness · 消费延迟与数据新鲜度",
    "How far the detector is behind what happens, and whether results leave.",
    (
        _number(
            "Records behind · 落后记录数",
            f"sum(detector:consumer_lag_events:sum{{{_SOURCE}}})",
            "short",
            1_000_000,
        ),
        _number(
            "Oldest last event · 距最近事件",
            f"max(time() - detector_last_event_timestamp_seconds{{{_SOURCE}}})",
            "s",
            3_600,
        ),
        _number(
            "Oldest checkpoint · 距检查点",
            "max(time() - detector_last_checkpoint_timestamp_seconds)",
            "s",
            300,
        ),
        _number("Sinks waiting · 输出等待", "max(detector_sink_waiting_seconds)", "s", 300),
        _lines(
            "Records behind by source · 各数据源落后记录数",
            f"detector:consumer_lag_events:sum{{{_SOURCE}}}",
            "{{source}}",
        ),
        _lines(
            "Records behind by partition · 各分区落后记录数",
            f"topk(20, detector_consumer_lag_events{{{_SOURCE}}})",
            "{{source}}/{{partition}}",
            about="The 20 furthest behind.",
        ),
        _lines(
            "Age of the newest event when scored · 评分时事件年龄",
            f"max by (source) (detector_event_time_lag_seconds{{{_SOURCE}}})",
            "{{source}}",
            "s",
        ),
        _lines(
            "Time since the last event · 距最近事件",
            f"time() - max by (source) (detector_last_event_timestamp_seconds{{{_SOURCE}}})",
            "{{source}}",
            "s",
        ),
        _lines("Partitions held · 持有分区", "detector_partitions_assigned", "{{instance}}"),
        _lines(
            "Rebalances, 10 min · 重平衡",
            "increase(detector_rebalances_total[10m])",
            "{{instance}}",
        ),
        _lines(
            "Alerts waiting for a sink · 等待输出的告警",
            "sum by (sink) (detector_sink_waiting_alerts)",
            "{{sink}}",
        ),
        _lines(
            "Sink has taken none for · 输出停滞时间",
            "max by (sink) (detector_sink_waiting_seconds)",
            "{{sink}}",
            "s",
        ),
        _STREAMS,
    ),
    (Variable("source", "Source · 数据源", PromQl("label_values(detector_events_total, source)")),),
    since="now-6h",
    refresh="30s",
)
