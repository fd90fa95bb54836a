"""A pipeline file: what one stream is read from, decided by, and written to."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from detector.errors import PipelineError
from detector.hosts.learned import learned
from detector.hosts.statements import refuse_mute_mapping
from detector.kafka.ports import Reading
from detector.mapping import load_mapping
from detector.policy import load_policy
from detector.reference import load_reference
from detector.sinks import open_sinks
from detector.store.verdicts import FOLLOWER

_MAX_BYTES = 1_000_000
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_LEVELS = ("debug", "info", "warning", "error")


class _Key(NamedTuple):
    """What a key may hold: kinds, words for people, lowest and highest number."""

    kinds: tuple[type, ...]
    words: str
    low: float = 0
    high: float = 0


_FILE = _Key((str,), "a path, relative to this file")
_SECTIONS: dict[str, dict[str, _Key]] = {
    "": {
        "mapping": _FILE,
        "policy": _FILE,
        "artifact": _Key(
            (str,), "a path, relative to this file, or a role or version of the registry"
        ),
        "registry": _Key((str,), "a folder, relative to this file, or a URL"),
        "reference": _FILE,
        "store": _Key((str,), "sqlite:///file.db or postgresql://user@host/database"),
        "sinks": _Key((dict,), "tables [sinks.NAME]"),
    },
    "source": {
        "topics": _Key((list,), "a list of names of topics"),
        "group": _Key((str,), "the name of a consumer group"),
        "raw": _Key((bool,), "true or false"),
        "scanner": _Key((bool,), "true or false"),
        "fetch_bytes": _Key((int,), "bytes", 65_536, 1_073_741_824),
        "partition_fetch_bytes": _Key((int,), "bytes", 65_536, 268_435_456),
        "batch_bytes": _Key((int,), "bytes", 1_048_576, 1_073_741_824),
        "waiting_bytes": _Key((int,), "bytes", 1_048_576, 1_073_741_824),
    },
    "checkpoint": {
        "every_s": _Key((int, float), "seconds", 0.1, 3_600),
        "every_events": _Key((int,), "a number of events", 1_000, 100_000_000),
    },
    "watchdog": {"stalled_after_s": _Key((int, float), "seconds", 5, 86_400)},
    "alerts": {"topic": _Key((str,), "the name of a topic")},
    "verdicts": {"publish": _Key((bool,), "true or false")},
    "dead_letters": {
        "topic": _Key((str,), "the name of a topic"),
        "file": _FILE,
        "max_bytes": _Key((int,), "bytes", 1_048_576, 1_099_511_627_776),
    },
    "telemetry": {
        "address": _Key((str,), "HOST:PORT, or none"),
        "log_level": _Key((str,), f"one of {', '.join(_LEVELS)}"),
    },
    "route": {
        "topic": _Key((str,), "the name of a topic"),
        "group": _Key((str,), "the name of a consumer group"),
        "sources": _Key((list,), "tables [[route.sources]]"),
    },
}
_ROUTE_SOURCE: dict[str, _Key] = {
    "topics": _Key((list,), "a list of names of topics"),
    "mapping": _FILE,
}


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Where records go that cannot be used: a topic, a file, or nowhere."""

    topic: str | None = None
    file: Path | None = None
    max_bytes: int = 1_073_741_824


@dataclass(frozen=True, slots=True)
class RouteSource:
    """Raw topics of one format."""

    topics: tuple[str, ...]
    mapping: Path | None


@dataclass(frozen=True, slots=True)
class Route:
    """From raw topics to the canonical one, keyed by actor."""

    topic: str
    group: str
    sources: tuple[RouteSource, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked pipeline file; paths are absolute or relative to the working folder.

    With a ``registry``, ``artifact`` is a role or version in it; production if there is none.
    """

    path: Path
    topics: tuple[str, ...] = ()
    group: str = ""
    reading: Reading = field(default_factory=Reading)
    scanner: bool = True
    mapping: Path | None = None
    policy: Path | None = None
    artifact: Path | None = None
    registry: str | None = None
    reference: Path | None = None
    store: str | None = None
    save_every_s: float = 5.0
    save_every_events: int = 200_000
    stalled_after_s: float = 120.0
    alerts_topic: str | None = None
    publish_verdicts: bool = False
    dead_letters: DeadLetters = DeadLetters()
    sinks: Mapping[str, Any] = field(default_factory=dict)
    telemetry_address: str | None = None
    log_level: str = "info"
    route: Route | None = None

    @property
    def route_sources(self) -> tuple[RouteSource, ...]:
        """What is re-keyed, if anything."""
        return () if self.route is None else self.route.sources


def load_pipeline(path: Path) -> Pipeline:
    """Read a pipeline file.

    Raises:
        PipelineError: names file, key, value and what is allowed.
    """
    content = _read(path)
    reader = _Reader(path)
    reader.check_sections(content)
    source, checkpoint = content.get("source", {}), content.get("checkpoint", {})
    alerts, telemetry = content.get("alerts", {}), content.get("telemetry", {})
    defaults = Pipeline(path)
    if "source" not in content and "route" not in content:
        reader.refuse("source", None, "a table [source], or [route]")
    reading = {name: source[name] for name in Reading.__slots__ if name in source}
    return Pipeline(
        path=path,
        topics=reader.topics("source.topics", source.get("topics")) if source else (),
        group=reader.name("source.group", source.get("group")) if source else "",
        reading=Reading(**reading),
        scanner=source.get("scanner", True),
        mapping=reader.file("mapping", content),
        policy=reader.file("policy", content),
        artifact=reader.artifact(content),
        registry=reader.registry(content.get("registry")),
        reference=reader.file("reference", content),
        store=content.get("store"),
        save_every_s=float(checkpoint.get("every_s", defaults.save_every_s)),
        save_every_events=checkpoint.get("every_events", defaults.save_every_events),
        stalled_after_s=float(content.get("watchdog", {}).get("stalled_after_s", 120.0)),
        alerts_topic=reader.optional_name("alerts.topic", alerts.get("topic")),
        publish_verdicts=reader.verdicts(content),
        dead_letters=reader.dead_letters(content.get("dead_letters", {})),
        sinks=content.get("sinks", {}),
        telemetry_address=telemetry.get("address"),
        log_level=reader.level(telemetry.get("log_level", defaults.log_level)),
        route=reader.route(content["route"]) if "route" in content else None,
    )


def check_pipeline(path: Path) -> None:
    """Read a pipeline and the files it names; reaches no broker and no store.

    Raises:
        DetectorError: the first that is wrong.
    """
    pipeline = load_pipeline(path)
    if pipeline.publish_verdicts:
        refuse_mute_mapping(load_mapping(pipeline.mapping), path)
    for mapping in [pipeline.mapping, *(s.mapping for s in pipeline.route_sources)]:
        load_mapping(mapping)
    load_policy(pipeline.policy)
    learned(pipeline.artifact, pipeline.registry)
    load_reference(pipeline.reference)
    for sink in open_sinks(pipeline.sinks, lambda _: None):
        sink.close()


def is_pipeline(content: Mapping[str, Any]) -> bool:
    """Tell whether a TOML file is meant to be a pipeline."""
    return isinstance(content.get("source"), dict) or isinstance(content.get("route"), dict)


def _read(path: Path) -> dict[str, Any]:
    where = str(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PipelineError("is too large", where=where, hint="Limit: 1 MB")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        what, hint = f"cannot be read ({error.strerror})", "Check path and rights"
        raise PipelineError(what, where=where, hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"is not TOML: {error}", where=where, hint="Mend it") from None


class _Reader:
    """Checks the values of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refuse(self, key: str, value: object, words: str) -> NoReturn:
        """Say what is wrong with a key."""
        what = f"{key} is missing" if value is None else f"{key} is wrong, got {value!r}"
        raise PipelineError(what, where=str(self._path), hint=f"Expected {words}")

    def check_sections(self, content: Mapping[str, Any]) -> None:
        """Refuse unknown keys and values of a wrong kind."""
        self._check(
            content, {**_SECTIONS[""], **dict.fromkeys(_SECTIONS, _FILE)}, "", only_names=True
        )
        for section, keys in _SECTIONS.items():
            table = (
                {k: content[k] for k in keys if k in content}
                if not section
                else content.get(section, {})
            )
            if not isinstance(table, dict):
                self.refuse(section, table, f"a table [{section}]")
            self._check(table, keys, f"{section}." if section else "")

    def _check(
        self,
        table: Mapping[str, Any],
        keys: Mapping[str, _Key],
        prefix: str,
        *,
        only_names: bool = False,
    ) -> None:
        for name, value in table.items():
            key = keys.get(name)
            if key is None:
                near = difflib.get_close_matches(name, [one for one in keys if one], n=1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                hint += f"Allowed: {', '.join(one for one in keys if one)}"
                raise PipelineError(f"unknown key {prefix}{name}", where=str(self._path), hint=hint)
            if not only_names:
                self._check_value(f"{prefix}{name}", value, key)

    def _check_value(self, name: str, value: Any, key: _Key) -> None:
        is_bool = isinstance(value, bool) and bool not in key.kinds
        if is_bool or not isinstance(value, key.kinds):
            self.refuse(name, value, key.words)
        if key.high and isinstance(value, int | float) and not key.low <= value <= key.high:
            self.refuse(name, value, f"{key.words}, {key.low:,} to {key.high:,}")

    def name(self, key: str, value: Any) -> str:
        """Return a name that Kafka takes."""
        if not isinstance(value, str) or _TOPIC.fullmatch(value) is None or value in {".", ".."}:
            self.refuse(key, value, "a name of letters, digits, dots, dashes and underscores")
        return value

    def optional_name(self, key: str, value: Any) -> str | None:
        """Return a name, None where there is none."""
        return None if value is None else self.name(key, value)

    def topics(self, key: str, value: Any) -> tuple[str, ...]:
        """Return names of topics, at least one."""
        if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
            self.refuse(key, value, "a list of different topics, at least one")
        return tuple(self.name(key, one) for one in value)

    def file(self, key: str, table: Mapping[str, Any]) -> Path | None:
        """Return a path relative to the pipeline's folder."""
        value = table.get(key)
        return None if value is None else self._path.parent / value

    def artifact(self, table: Mapping[str, Any]) -> Path | None:
        """Return a folder relative to the pipeline's, or the name of a role or version."""
        if "registry" in table and "artifact" in table:
            return Path(table["artifact"])
        return self.file("artifact", table)

    def registry(self, value: str | None) -> str | None:
        """Return a folder relative to the pipeline's, or a URL as it is."""
        if value is None or "://" in value:
            return value
        return str(self._path.parent / value)

    def level(self, value: str) -> str:
        """Return a log level."""
        if value not in _LEVELS:
            self.refuse("telemetry.log_level", value, f"one of {', '.join(_LEVELS)}")
        return value

    def verdicts(self, content: Mapping[str, Any]) -> bool:
        """Tell whether verdicts go to the topics; they are counted like a sink of that name."""
        publish = bool(content.get("verdicts", {}).get("publish", False))
        if publish and FOLLOWER in content.get("sinks", {}):
            self.refuse(f"sinks.{FOLLOWER}", FOLLOWER, "another name: verdicts.publish has it")
        return publish

    def dead_letters(self, table: Mapping[str, Any]) -> DeadLetters:
        """Return where dead letters go."""
        if "topic" in table and "file" in table:
            self.refuse("dead_letters", sorted(table), "topic or file, not both")
        return DeadLetters(
            topic=self.optional_name("dead_letters.topic", table.get("topic")),
            file=self.file("file", table),
            max_bytes=table.get("max_bytes", DeadLetters().max_bytes),
        )

    def route(self, table: Mapping[str, Any]) -> Route:
        """Return what is re-keyed."""
        sources = table.get("sources")
        if not isinstance(sources, list) or not sources:
            self.refuse("route.sources", sources, "at least one table [[route.sources]]")
        found = []
        for source in sources:
            if not isinstance(source, dict):
                self.refuse("route.sources", source, "tables [[route.sources]]")
            self._check(source, _ROUTE_SOURCE, "route.sources.")
            topics = self.topics("route.sources.topics", source.get("topics"))
            found.append(RouteSource(topics, self.file("mapping", source)))
        target = self.name("route.topic", table.get("topic"))
        all_topics = [topic for source in found for topic in source.topics]
        if target in all_topics or len(set(all_topics)) != len(all_topics):
            self.refuse(
                "route.topic", target, "a topic that is none of the sources, each named once"
            )
        return Route(target, self.name("route.group", table.get("group")), tuple(found))
