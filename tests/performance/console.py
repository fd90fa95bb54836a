"""How long pages take: many alerts, many analysts, alerts arriving.

    python -m tests.performance.console --alerts 100000 --analysts 50

Every analyst asks for a page, reads for two seconds, asks for the next. Analysts and detector are
processes of their own, as they are at a bank.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx

from detector.alerts import Alert
from detector.store import open_store
from tests.console.conftest import NEWEST, Served, serving

_AT_ONCE = 10_000
_READS_FOR_S = 2.0
_ARRIVALS_PER_S = 10
_FIRST_DAY = date(2025, 1, 1)


def made_up(number: int, n_alerts: int, rng: random.Random) -> Alert:
    """Return one of a year's alerts of 20,000 people in 200 branches."""
    day = _FIRST_DAY + timedelta(days=number * 365 // n_alerts)
    like = list(NEWEST.values())[number % len(NEWEST)]
    changed = {
        "alert_id": f"{number:032x}",
        "user_id": f"u{rng.randrange(20_000):05d}",
        "user_branch": f"B{rng.randrange(200):03d}",
        "score": round(rng.expovariate(1) + 2, 4),
        "time": f"{day}T{rng.randrange(24):02d}:00:00.000+08:00",
    }
    return Alert({**like, **changed})


def fill(url: str, n_alerts: int) -> None:
    """Write the alerts."""
    store, rng = open_store(url), random.Random(1)
    claim = store.claim("topic/0", "benchmark")
    for start in range(0, n_alerts, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, n_alerts))
        store.write_alerts(claim, [made_up(n, n_alerts, rng) for n in numbers])
    store.close()


def keep_arriving(url: str, n_alerts: int, until: float) -> None:
    """Write ten alerts a second."""
    store, rng = open_store(url), random.Random(2)
    claim = store.claim("topic/0", "benchmark")
    number = n_alerts
    while time.monotonic() < until:
        time.sleep(1 / _ARRIVALS_PER_S)
        store.write_alerts(claim, [made_up(number, n_alerts, rng)])
        number += 1
    store.close()


Times = dict[str, list[float]]


def read_on(base: str, cookies: dict[str, str], number: int, until: float, times: Times) -> None:
    """Ask for page after page, as one analyst does; nobody begins at the same moment."""
    rng = random.Random(number)
    time.sleep(_READS_FOR_S * rng.random())
    # Reading the system's certificates fifty times would keep a core busy for seconds.
    with httpx.Client(base_url=base, cookies=cookies, timeout=60, verify=False) as browser:  # noqa: S501  http
        while time.monotonic() < until:
            alert_id = f"{rng.randrange(1_000):032x}"
            pages = {
                "queue": "/", "open": "/?view=open",
                "search": f"/?view=all&q=B{rng.randrange(200):03d}",
                "alert": f"/alerts/{alert_id}", "overview": "/overview",
            }  # fmt: skip
            name = rng.choice(["queue", "queue", "open", "search", "alert", "alert", "overview"])
            started = time.monotonic()
            assert browser.get(pages[name]).status_code == 200
            times.setdefault(name, []).append(time.monotonic() - started)
            time.sleep(_READS_FOR_S * rng.random() * 2)


def everybody(base: str, cookies: dict[str, str], n_analysts: int, until: float) -> Times:
    """Let all analysts read for a while; a thread each."""
    times = Times()
    readers = [
        threading.Thread(target=read_on, args=(base, cookies, n, until, times))
        for n in range(n_analysts)
    ]
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    return times


def quantile(values: list[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    return 1_000 * sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--alerts", type=int, default=100_000)
    options.add_argument("--analysts", type=int, default=50)
    options.add_argument("--seconds", type=float, default=30.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'alerts.db'}"
        fill(url, chosen.alerts)
        with serving(url) as served:
            measure(served, chosen)


def measure(served: Served, chosen: Any) -> None:
    """Let everybody work while alerts arrive."""
    analyst = served.signed_in("analyst")
    analyst.get("/")
    cookies, spawning = dict(analyst.cookies), multiprocessing.get_context("spawn")
    with spawning.Pool(1) as detector, spawning.Pool(1) as browsers:
        for pool in (detector, browsers):
            pool.apply(time.monotonic)  # has started, and imported what it needs
        until = time.monotonic() + chosen.seconds  # one clock for all processes of a machine
        arriving = detector.apply_async(keep_arriving, (served.url, chosen.alerts, until))
        times = browsers.apply(everybody, (served.base, cookies, chosen.analysts, until))
        arriving.get()
    every = [value for values in times.values() for value in values]
    for name, values in [*sorted(times.items()), ("all", every)]:
        middle, high = quantile(values, 0.5), quantile(values, 0.95)
        print(f"{name:10} {len(values):6,} pages  median {middle:5.0f} ms  p95 {high:5.0f} ms")


if __name__ == "__main__":
    main()
