"""Detections → alerts: stable ids, episodes with versions, evidence, samples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import orjson

from detector.detections import DETECTORS, Detection
from detector.errors import SnapshotError
from detector.evidence import evidence_of
from detector.explain import explain
from detector.policy import Policy

_EPOCH = date(1970, 1, 1)
_MILLISECOND_NS = 1_000_000
_KEPT_DAYS = 2  # open days of an actor


@dataclass(frozen=True, slots=True)
class Alert:
    """One version of an alert; ``fields`` are those of the alerts file, in order."""

    fields: dict[str, Any]

    @property
    def alert_id(self) -> str:
        """Id of the episode."""
        return str(self.fields["alert_id"])

    @property
    def version(self) -> int:
        """1 for the first line of an episode."""
        return int(self.fields["version"])

    def to_json_line(self) -> bytes:
        """Return the line of the alerts file, newline included."""
        return orjson.dumps(self.fields, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class _Episode:
    version: int
    first_ids: list[str]
    last_ids: list[str]


class Episodes:
    """Open episodes: what has been said and shown, per actor and local day.

    Args:
        n_samples: event ids kept per episode: the first half as they came, then the latest.
    """

    def __init__(self, n_samples: int) -> None:
        self._half = max(n_samples // 2, 1)
        self._open: dict[int, dict[int, _Episode]] = {}

    def note_sample(self, user_hash: int, day: int, event_id: str) -> None:
        """Keep the id of an event that is part of the reason."""
        episode = self._episode(user_hash, day)
        if event_id in episode.first_ids or event_id in episode.last_ids:
            return
        if len(episode.first_ids) < self._half:
            episode.first_ids.append(event_id)
        else:
            episode.last_ids.append(event_id)
            if len(episode.last_ids) > self._half:
                del episode.last_ids[: -self._half]

    def raise_alert(
        self,
        found: Detection,
        *,
        user_id: str,
        user_role: str | None,
        user_branch: str | None,
        time_ns: int,
        event_id: str,
        policy: Policy,
        artifact_digest: str,
    ) -> Alert:
        """Open the episode of this actor's day, or give it its next version."""
        found = _rounded(found)
        self.note_sample(found.user_hash, found.day, event_id)
        episode = self._episode(found.user_hash, found.day)
        episode.version += 1
        local = timezone(timedelta(seconds=found.utc_offset_s))
        return Alert(
            {
                "alert_id": alert_id(user_id, found.day),
                "version": episode.version,
                "time": iso_time(time_ns, local),
                "score": found.score,
                "severity": severity(found.score, policy),
                "detector": found.fired[0],
                "detectors": list(found.fired),
                "user_id": user_id,
                "user_role": user_role,
                "user_branch": user_branch,
                "first_event_time": iso_time(found.first_event_time_ns, local),
                "last_event_time": iso_time(found.last_event_time_ns, local),
                "n_events": found.n_events,
                "n_records": found.n_records,
                "n_customers": found.n_customers,
                "learning": found.learning,
                "contributions": _contributions(found),
                "evidence": evidence_of(found),
                "event_ids": [*episode.first_ids, *episode.last_ids],
                "explanation": explain(found),
                "policy_digest": policy.digest,
                "artifact_digest": artifact_digest,
            }
        )

    def _episode(self, user_hash: int, day: int) -> _Episode:
        days = self._open.get(user_hash)
        if days is None:
            days = self._open[user_hash] = {}
        episode = days.get(day)
        if episode is None:
            episode = days[day] = _Episode(0, [], [])
            for old in [other for other in days if other <= max(days) - _KEPT_DAYS]:
                del days[old]
        return episode

    def to_json(self) -> bytes:
        """Return all open episodes, sorted, for a snapshot."""
        content = {
            str(user): {
                str(day): [e.version, e.first_ids, e.last_ids] for day, e in sorted(days.items())
            }
            for user, days in sorted(self._open.items())
        }
        return orjson.dumps(content)

    def restore(self, content: bytes | str) -> None:
        """Take open episodes from a snapshot.

        Raises:
            SnapshotError: it holds anything but open episodes.
        """
        try:
            self._open = {
                int(user): {int(day): _episode_of(parts) for day, parts in days.items()}
                for user, days in orjson.loads(content).items()
            }
        except (ValueError, TypeError, AttributeError):
            raise SnapshotError(
                "holds something else", where="episodes", hint="Start with an empty store"
            ) from None


def _episode_of(parts: Any) -> _Episode:
    """Take one episode from a snapshot; nothing in it is believed unseen."""
    version, first_ids, last_ids = parts
    ids = [*first_ids, *last_ids]
    if type(version) is not int or not all(isinstance(event_id, str) for event_id in ids):
        raise ValueError
    return _Episode(version, list(first_ids), list(last_ids))


def alert_id(user_id: str, day: int) -> str:
    """Return the id of an actor's local day: the same in every run, policy and host.

    >>> alert_id("u1", 0) == alert_id("u1", 0) != alert_id("u1", 1)
    True
    """
    text = f"{user_id}\x1f{_EPOCH + timedelta(days=day)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def iso_time(time_ns: int, zone: timezone) -> str:
    """Return ISO-8601 with milliseconds and offset."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone(zone)
    return moment.replace(microsecond=rest_ns // _MILLISECOND_NS * 1000).isoformat(
        timespec="milliseconds"
    )


def severity(score: float, policy: Policy) -> str:
    """Return the severity of a score under a policy."""
    name = "low"
    for cut_name, cut in policy.alerts.severity:
        if score >= cut:
            name = cut_name
    return name


def _rounded(found: Detection) -> Detection:
    """Round once, so that score, severity, evidence and text say the same figures."""
    hours, branch = found.hours, found.branch
    return replace(
        found,
        score=round(found.score, 4),
        hours=replace(
            hours, share=round(hours.share, 5), active_share=round(hours.active_share, 4)
        ),
        branch=replace(
            branch,
            expected=round(branch.expected, 3),
            share=round(branch.share, 5),
            peer_share=round(branch.peer_share, 5),
            bank_share=round(branch.bank_share, 5),
        ),
        drip=replace(found.drip, peer_expected=round(found.drip.peer_expected, 1)),
        repeat=replace(
            found.repeat,
            own_rate=round(found.repeat.own_rate, 5),
            peer_rate=round(found.repeat.peer_rate, 5),
        ),
    )


def _contributions(found: Detection) -> list[dict[str, Any]]:
    """Return what each detector that has something to say adds, most surprising first."""
    ranked = sorted(zip(DETECTORS, found.surprises, strict=True), key=lambda pair: -pair[1])
    said = [(name, round(value, 2)) for name, value in ranked]
    return [{"detector": n, "surprise": v} for n, v in said if v > 0.0 or n in found.fired]
