"""Which devices are free for the next picture, and which for another group of pictures."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from srspace.batch.engine import Computer


class Seats:
    """A picture on its own has its device for itself. Where a device overlaps, two groups share it.

    While a GPU computes one group, Python prepares the next: for small pictures, it takes as long.

    Args:
        computers: one for each device.

    Attributes:
        devices: how many there are.
        most: how many pictures and groups are computed at a time.
    """

    def __init__(self, computers: Sequence[Computer]) -> None:
        self.devices = len(computers)
        self.most = len(computers) + sum(computer.overlaps for computer in computers)
        self._idle = deque(computers)
        self._groups: Counter[Computer] = Counter()

    @property
    def idle(self) -> int:
        """How many devices have nothing to do."""
        return len(self._idle)

    @property
    def next_idle(self) -> Computer | None:
        """The one whose turn it is."""
        return self._idle[0] if self._idle else None

    @property
    def with_room(self) -> list[Computer]:
        """Those that compute one group and would take another."""
        return [computer for computer, count in self._groups.items() if count == 1 and computer.overlaps]

    def take_idle(self, count: int) -> list[Computer]:
        """So many, for one picture."""
        return [self._idle.popleft() for _ in range(count)]

    def take_for_group(self, computer: Computer) -> None:
        """One that is idle, or has room."""
        if computer in self._idle:
            self._idle.remove(computer)
        self._groups[computer] += 1

    def give_back(self, computers: Sequence[Computer]) -> None:
        """What was taken for a picture or for a group; idle is a device when its last group is over."""
        for computer in computers:
            if self._groups[computer] > 1:
                self._groups[computer] -= 1
            else:
                del self._groups[computer]
                self._idle.append(computer)
