"""What goes along with the partitions a worker holds, besides scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Follower(Protocol):
    """Something that is done for the streams a worker holds, in small steps between two polls."""

    def follow(self, stream: str) -> None:
        """Begin with a stream, or go on where its last holder stopped."""
        ...

    def leave(self, stream: str) -> None:
        """Leave a stream to another worker."""
        ...

    def wake(self, stream: str) -> None:
        """Say that the store has new alerts of a stream."""
        ...

    def turn(self) -> None:
        """Do a little; never waits for a receiver."""
        ...


@dataclass(frozen=True, slots=True)
class Followers:
    """Several as one."""

    every: Sequence[Follower]

    def follow(self, stream: str) -> None:
        """Begin with a stream."""
        for one in self.every:
            one.follow(stream)

    def leave(self, stream: str) -> None:
        """Leave a stream to another worker."""
        for one in self.every:
            one.leave(stream)

    def wake(self, stream: str) -> None:
        """Say that the store has new alerts of a stream."""
        for one in self.every:
            one.wake(stream)

    def turn(self) -> None:
        """Do a little."""
        for one in self.every:
            one.turn()
