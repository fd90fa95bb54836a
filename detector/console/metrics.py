"""What an operator watches of the console: requests, time, refused sign-ins, open streams, sinks.

Beside the counters it writes a line for what went wrong or took long: the route's pattern, never
its address, so that no log holds an id.
"""

from __future__ import annotations

import time
from collections.abc import Sized

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics import MetricWrapperBase
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.telemetry import Telemetry

_SLOW_S = 2.0
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one process. Labels are routes and status classes: a known few.

    Args:
        open_streams: browsers that wait for alerts.
        telemetry: whose log is written, and whose counters of sinks are shown here too.
    """

    def __init__(self, open_streams: Sized, telemetry: Telemetry) -> None:
        self.log = telemetry.log
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "detector_console_requests",
            "Requests by route and class of status",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "detector_console_request_seconds",
            "Time until an answer begins",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self.sign_ins_refused = Counter(
            "detector_console_sign_ins_refused",
            "Sign-ins with a wrong password, or barred after too many",
            registry=self._registry,
        )
        if telemetry.metrics.sinks:
            for shown in of_sinks(telemetry):
                self._registry.register(shown)
        streams = Gauge(
            "detector_console_live_streams",
            "Browsers that wait for alerts",
            registry=self._registry,
        )
        streams.set_function(lambda: len(open_streams))

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count an answer, and tell of one that is late or none."""
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)
        if status >= 500 or seconds > _SLOW_S:
            what = "request failed" if status >= 500 else "slow answer"
            self.log.warning(what, route=route, status=status, seconds=round(seconds, 3))

    def page(self) -> tuple[bytes, str]:
        """Return the page that Prometheus reads, and its type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


def of_sinks(telemetry: Telemetry) -> tuple[MetricWrapperBase, ...]:
    """Return what is counted of sinks."""
    m = telemetry.metrics
    counted = (m.sink_delivered, m.sink_failures, m.sink_refused)
    return (*counted, m.sink_waiting, m.sink_waiting_seconds)


class Counting:
    """ASGI middleware that counts every request under its route's pattern, never its address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.monotonic() - started
                self._metrics.note(_route_of(scope), message["status"], seconds)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            self._metrics.log.exception("request broke", route=_route_of(scope))
            raise


def _route_of(scope: Scope) -> str:
    """Return the pattern of the route that answered; ``other`` for none of ours."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return str(path) if path else "other"
