"""For operators: is it alive, how much goes through, what is refused, does output leave."""

from __future__ import annotations

from detector.dashboards.model import Column, Dashboard, Panel, PromQl, Variable

_SOURCE = 'source=~"$source"'
_SOURCES = Variable(
    "source", "Source · 数据源", PromQl("label_values(detector_events_total, source)")
)


def _number(title: str, query: str, unit: str = "short", bad: float | None = None) -> Panel:
    steps = ((None, "green"),) if bad is None else ((None, "green"), (bad, "red"))
    question = PromQl(query, title, instant=True)
    return Panel("stat", title, (question,), width=4, height=4, unit=unit, steps=steps)


def _lines(title: str, *queries: PromQl, unit: str = "short", about: str = "") -> Panel:
    return Panel("timeseries", title, queries, unit=unit, width=8, description=about)


_CHECKS = Panel(
    "table",
    "Checks of readiness · 就绪检查",
    (PromQl("detector_check_good", instant=True),),
    width=8,
    columns=(
        Column("Time", is_hidden=True),
        Column("__name__", is_hidden=True),
        Column("job", is_hidden=True),
        Column("instance", "Host · 主机"),
        Column("check", "Check · 检查"),
        Column("Value", "Good · 正常", decimals=0),
    ),
    description="1 is good; the reason of a 0 stands at /readyz of that host.",
)

PIPELINE = Dashboard(
    "detector-pipeline",
    "Pipeline health · 流水线健康",
    "The detector's hosts as Prometheus sees them. Alerts about them, with runbooks, come from "
    "docker/prometheus/alerts.yml.",
    (
        _number("Hosts up · 在线主机", 'sum(up{job="detector"})'),
        _number("Bad checks · 异常检查", "sum(detector_check_good == bool 0)", bad=1),
        _number("Events/s · 事件/秒", f"sum(detector:events:rate5m{{{_SOURCE}}})", "eps"),
        _number(
            "Rejected, 10 min · 拒绝率",
            f"max(detector:rejects:ratio10m{{{_SOURCE}}})",
            "percentunit",
            0.01,
        ),
        _number("Alerts, 24 h · 24小时告警", "detector:alerts:increase1d"),
        _number("Artifact age · 模型年龄", "max(detector_artifact_age_seconds)", "s", 90 * 86_400),
        _lines(
            "Events · 事件",
            PromQl(
                f"sum by (source) (rate(detector_events_total{{{_SOURCE}}}[$__rate_interval]))",
                "{{source}}",
            ),
            unit="eps",
        ),
        _lines(
            "Rejects by reason · 拒绝原因",
            PromQl(
                "sum by (reason) "
                f"(rate(detector_rejects_total{{{_SOURCE}}}[$__rate_interval])) > 0",
                "{{reason}}",
            ),
            unit="eps",
            about="Only reasons that occur.",
        ),
        _lines(
            "Late, duplicate, slow to decode · 迟到、重复、慢速解码",
            PromQl(
                f"sum(rate(detector_late_events_total{{{_SOURCE}}}[$__rate_interval]))",
                "late · 迟到",
            ),
            PromQl(
                f"sum(rate(detector_duplicates_total{{{_SOURCE}}}[$__rate_interval]))",
                "duplicate · 重复",
            ),
            PromQl(
                f"sum(rate(detector_scanner_refused_total{{{_SOURCE}}}[$__rate_interval]))",
                "slow · 慢速",
            ),
            unit="eps",
        ),
        _lines(
            "Batch and checkpoint, 99 % · 批次与检查点耗时（99%）",
            PromQl("detector:batch_seconds:p99_5m", "batch · 批次"),
            PromQl("detector:checkpoint_seconds:p99_5m", "checkpoint · 检查点"),
            unit="s",
        ),
        _lines(
            "Alerts by detector, 1 h · 各检测器告警（1小时）",
            PromQl("sum by (detector) (increase(detector_alerts_total[1h])) > 0", "{{detector}}"),
            PromQl("increase(detector_alerts_held_back_total[1h])", "held back · 预算外"),
        ),
        _lines(
            "Limits reached, 15 min · 触及上限",
            PromQl("sum by (limit) (increase(detector_limit_hits_total[15m]))", "{{limit}}"),
            PromQl(
                "sum(increase(detector_checkpoint_failures_total[15m]))",
                "failed checkpoints · 检查点失败",
            ),
        ),
        _lines(
            "Sinks: delivered, failed, refused · 输出：送达、失败、拒收",
            PromQl(
                "sum by (sink) (rate(detector_sink_delivered_total[$__rate_interval]))",
                "{{sink}} delivered · 送达",
            ),
            PromQl(
                "sum by (sink) (rate(detector_sink_failures_total[$__rate_interval]))",
                "{{sink}} failed · 失败",
            ),
            PromQl(
                "sum by (sink) (rate(detector_sink_refused_total[$__rate_interval]))",
                "{{sink}} refused · 拒收",
            ),
        ),
        _lines(
            "Memory · 内存",
            PromQl("process_resident_memory_bytes", "{{instance}} process · 进程"),
            PromQl("detector_state_bytes", "{{instance}} state · 状态"),
            unit="bytes",
        ),
        _lines("People in memory · 内存中人数", PromQl("detector_state_actors", "{{instance}}")),
        _lines(
            "Processor · 处理器",
            PromQl("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),
            unit="percentunit",
        ),
        _lines(
            "Quick reading of Kafka · 快速读取",
            PromQl("detector_raw_fetch_active", "{{instance}}"),
            about="0: the slow way, same results; nothing: not asked for.",
        ),
        _CHECKS,
    ),
    (_SOURCES,),
    since="now-6h",
    refresh="30s",
)
