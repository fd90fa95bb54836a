"""What the console knows, as an event that the source itself could have sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from detector.decode import Bounds, decode
from detector.errors import PipelineError
from detector.hosts.live_decode import ENVELOPE
from detector.mapping import Mapping, Rule
from detector.store.verdicts import TEACHING, Judgement

_EPOCH_PER_MS = {"epoch_ms": 1, "epoch_us": 1_000, "epoch_ns": 1_000_000}
_ANY_TIME = Bounds(0, 2**62)
_PROBE = {word: Judgement(7, "somebody", word, 1_772_416_800_123) for word in TEACHING}


def verdict_event(judgement: Judgement, mapping: Mapping) -> bytes:
    """Return a verdict in the source's own terms: decoding it gives the verdict again.

    The same verdict is the same bytes, and the same event to the engine.

    >>> from detector.mapping import load_mapping
    >>> event = verdict_event(Judgement(3, "u7", "benign", 1_772_416_800_000), load_mapping(None))
    >>> orjson.loads(event)["event_id"], orjson.loads(event)["event_time"]
    ('verdict-3', '2026-03-02T02:00:00.000+00:00')
    """
    said: dict[str, str | int] = {
        "event_id": f"verdict-{judgement.number}",
        "event_time": judgement.given_ms,
        "user_id": judgement.user_id,
        "action": "judge",
        "system": "detector",
        "verdict": judgement.verdict,
    }
    document: dict[str, Any] = {}
    for field, value in said.items():
        rule = mapping.rules.get(field)
        if rule is not None and len(rule.pointers) == 1 and rule.pointers[0][0] != ENVELOPE:
            _put(document, rule.pointers[0], _written(field, value, rule))
    return orjson.dumps(document)


def refuse_mute_mapping(mapping: Mapping, where: Path) -> None:
    """Refuse a mapping by which no verdict can be said.

    Raises:
        PipelineError: an event made for it does not say what it should.
    """
    for word, judgement in _PROBE.items():
        line = verdict_event(judgement, mapping)
        batch, _ = decode([line], mapping, _ANY_TIME, source="verdicts", first_line=1)
        if len(batch) != 1 or (batch.user_ids[0], batch.verdict.at(0)) != ("somebody", word):
            hint = (
                "Map event_id, event_time, user_id, action and verdict to one JSON pointer each, "
                "or read a topic that `detector route` makes"
            )
            what = "verdicts.publish is not possible: the mapping does not read verdicts back"
            raise PipelineError(what, where=str(where), hint=hint)


def _written(field: str, value: str | int, rule: Rule) -> str | int:
    if field == "event_time":
        return _time(int(value), rule)
    if rule.enum is None:
        return value
    # No word of the source means "judge": any will do, a verdict is no access.
    return next((word for word, ours in rule.enum.items() if ours == value), next(iter(rule.enum)))


def _time(time_ms: int, rule: Rule) -> str | int:
    form = rule.formats[0]
    if form == "epoch_s":
        return time_ms // 1_000
    if form in _EPOCH_PER_MS:
        return time_ms * _EPOCH_PER_MS[form]
    moment = datetime.fromtimestamp(time_ms / 1_000, tz=rule.zone or UTC)
    return moment.isoformat(timespec="milliseconds") if form == "iso8601" else moment.strftime(form)


def _put(document: dict[str, Any], tokens: tuple[str, ...], value: str | int) -> None:
    for token in tokens[:-1]:
        document = document.setdefault(token, {})
    document[tokens[-1]] = value
