"""Dead letters back into a topic, each as it was."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from kafka import KafkaProducer
from kafka.errors import KafkaError

from detector.errors import OptionError, PipelineError, SourceError
from detector.hosts.live_pipeline import load_pipeline
from detector.kafka.dead_letter_file import read_letter
from detector.kafka.messages import Message
from detector.kafka.ports import DeadLetter, Partition
from detector.kafka.preflight import refuse_unreachable
from detector.kafka.records import Records
from detector.kafka.settings import KafkaSettings, kafka_settings
from detector.kafka.transfer import Transfer

_PREFIX = "detector."
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Again:
    """What is sent again: to which topic, of which reasons (none given: all)."""

    topic: str
    reasons: frozenset[str] = frozenset()

    def takes(self, reason: str) -> bool:
        """Tell whether a reason is wanted."""
        return not self.reasons or reason in self.reasons

    @property
    def name(self) -> str:
        """Name of the choice: each goes on where it itself stopped."""
        return ".".join(["dead-letters", *sorted(self.reasons)])


def replay_dead_letters(path: Path, again: Again) -> int:
    """Send dead letters again; return how many.

    Raises:
        DetectorError: there are none to be read, or the topic cannot be written.
    """
    pipeline, settings = load_pipeline(path), kafka_settings()
    letters = pipeline.dead_letters
    if again.topic == letters.topic:
        raise OptionError("is the dead letters' own topic", where="--to", hint="Name another")
    group = f"{pipeline.group or 'detector'}.{again.name}"
    if letters.topic is not None:
        refuse_unreachable(settings, [letters.topic], group, [again.topic])
        return _from_topic(letters.topic, group, settings, again)
    if letters.file is not None:
        refuse_unreachable(settings, [], group, [again.topic])
        return _from_file(letters.file, settings, again)
    hint = "Set dead_letters.topic or dead_letters.file"
    raise PipelineError("keeps no dead letters", where=str(path), hint=hint)


def _from_topic(topic: str, group: str, settings: KafkaSettings, again: Again) -> int:
    n_sent = 0

    def transform(_partition: Partition, records: Records) -> Sequence[Message]:
        messages: list[Message] = []
        for row in range(len(records)):
            headers = records.headers(row)
            reason = dict(headers).get(f"{_PREFIX}reason") or b""
            if again.takes(reason.decode()):
                kept = [(name, value or b"") for name, value in headers if not _is_note(name)]
                messages.append((again.topic, records.key(row), records.value(row), kept))
        nonlocal n_sent
        n_sent += len(messages)
        return messages

    writer = f"{group}.{socket.gethostname()}.{os.getpid()}"
    transfer = Transfer(settings, [topic], group, writer, transform)
    transfer.run(lambda is_at_end: is_at_end)
    return n_sent


def _is_note(name: str) -> bool:
    return name.startswith(_PREFIX)


def _from_file(path: Path, settings: KafkaSettings, again: Again) -> int:
    """Send the lines behind the mark of the last replay, in transactions; then move the mark."""
    mark = path.with_name(f"{path.name}.{again.name}")
    start = int(mark.read_text()) if mark.exists() else 0
    n_sent = 0
    producer = KafkaProducer(
        **settings.client(),
        transactional_id=f"detector.{again.name}.{path.name}",
        max_block_ms=15_000,
        delivery_timeout_ms=30_000,
        metrics_enabled=False,
    )
    try:
        producer.init_transactions()
        for letters, stop in _chunks(path, start):
            wanted = [letter for letter in letters if again.takes(letter.reason)]
            producer.begin_transaction()
            for one in wanted:
                headers = [(name, value or b"") for name, value in one.headers]
                producer.send(again.topic, one.value, one.key, headers)
            producer.commit_transaction()
            mark.write_text(str(stop))
            n_sent += len(wanted)
    except KafkaError as error:
        hint = "Run the command again: it goes on where it stopped"
        raise SourceError(type(error).__name__, where=again.topic, hint=hint) from None
    finally:
        producer.close(timeout=1)
    return n_sent


def _chunks(path: Path, start: int) -> Iterator[tuple[list[DeadLetter], int]]:
    """Yield some letters and the byte after them."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            while lines := _whole_lines(file):
                start += sum(map(len, lines))
                yield [read_letter(line) for line in lines], start
    except (OSError, ValueError) as error:
        hint = "Check path and rights"
        raise SourceError(str(error), where=str(path), hint=hint) from None


def _whole_lines(file: BinaryIO) -> list[bytes]:
    """Read some lines; a torn last one is not there yet."""
    return [line for line in islice(file, _CHUNK) if line.endswith(b"\n")]
