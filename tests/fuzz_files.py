"""Damages whole files and reads them, header, still and frames; what can be read is written again.

By hand: ``python -m tests.fuzz_files --count 10000``. Each file must come out as a picture or as one sentence: no other
exception, no crash, no more than 20 seconds, and no more memory than the pictures themselves take.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from srspace.errors import SRSpaceError
from srspace.images import encoded, read_header, read_picture, writable
from srspace.images.animation import AnimationWriter, read_animation
from tests.seeds import seeds

MAX_PIXELS = 1_000_000
SECONDS = 20
MEMORY = 1 << 30
"""Bytes that a worker may grow by."""


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        outcomes: how many were read, refused and so on.
        faults: what must not happen, by seed and number.
        slowest: seconds that the slowest file took, and which.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


def damaged(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One of several kinds of damage, or several of them."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_flipped, _overwritten, _cut, _doubled, _swapped, _spliced))(data or b"\0", rng, others)
    return data


def _flipped(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    changed = bytearray(data)
    near = rng.choice((64, 600, len(data)))  # headers are where most can go wrong
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        changed[rng.randrange(min(len(data), near))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwritten(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    place, length = rng.randrange(len(data)), rng.choice((1, 2, 4, 4, 16))
    filling = rng.choice((b"\0", b"\xff", b"\x7f", rng.randbytes(1)))
    return data[:place] + filling * length + data[place + length :]


def _cut(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _doubled(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] + data[end:] if rng.random() < 0.5 else data[:start] + data[end:]


def _swapped(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    a, b, c, d = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _spliced(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def tried(data: bytes, format: str, folder: Path) -> str:
    """Read a file in every way and write it again; returns what became of it.

    Raises:
        Exception: anything that users must not see.
    """
    path = folder / "file"
    path.write_bytes(data)
    read_header(path)
    try:
        picture = read_picture(data, name="it", max_pixels=MAX_PIXELS)
        animation = read_animation(data, "it", MAX_PIXELS)
    except SRSpaceError as error:
        if "\n" in str(error) or not str(error).startswith("it "):
            raise AssertionError(f"no sentence: {error!r}") from error
        return "refused"
    read_again(encoded(picture, format).data)
    if animation is None:
        return "read"
    with AnimationWriter("png", animation.timing) as writer:
        for frame in animation.frames():
            writer.add(frame)
        read_again(writer.finish().data)
    return "animated"


def read_again(data: bytes) -> None:
    """What was written must be whole."""
    read_picture(data, max_pixels=MAX_PIXELS)


def work(numbers: range) -> Tally:
    """Try the files of these numbers; a file depends on its number alone."""
    tally, whole = Tally(), seeds()
    names, files, formats = [*whole], [*whole.values()], [f for f in writable() if f != "gif"]
    signal.signal(signal.SIGALRM, _too_long)
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            rng = random.Random(number)
            name = rng.choice(names)
            data = damaged(whole[name], rng, files)
            start = time.monotonic()
            signal.alarm(SECONDS)
            try:
                tally.outcomes[tried(data, rng.choice(formats), Path(folder))] += 1
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                tally.faults.append(f"{name} {number}: {error!r}"[:300])
            signal.alarm(0)
            tally.slowest = max(tally.slowest, (time.monotonic() - start, f"{name} {number}"))
            if _peak() - before > MEMORY:
                tally.faults.append(f"{name} {number}: took {(_peak() - before) >> 20} MiB")
                before = _peak()
    return tally


def run(count: int, first: int = 0, workers: int = 2, part: int = 50) -> Tally:
    """Try ``count`` files in processes of their own; one that dies is a fault, too."""
    total = Tally()
    parts = [range(start, min(start + part, first + count)) for start in range(first, first + count, part)]
    context = multiprocessing.get_context("spawn")
    running: dict[multiprocessing.process.BaseProcess, tuple[range, object]] = {}
    while parts or running:
        while parts and len(running) < workers:
            numbers = parts.pop()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_send, args=(numbers, sender))
            process.start()
            sender.close()
            running[process] = numbers, receiver
        for process, (numbers, receiver) in list(running.items()):
            if receiver.poll(0.1):  # type: ignore[attr-defined]
                try:
                    total.add(receiver.recv())  # type: ignore[attr-defined]
                except EOFError:
                    process.join()
                    total.faults.append(f"{numbers}: a worker ended with code {process.exitcode}")
                process.join()
                del running[process]
    return total


def _send(numbers: range, sender: object) -> None:
    sender.send(work(numbers))  # type: ignore[attr-defined]


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError(f"more than {SECONDS} seconds")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    start = time.monotonic()
    tally = run(arguments.count, arguments.first, arguments.workers)
    print(
        f"{arguments.count} files of {len(seeds())} seeds in {time.monotonic() - start:.0f} s: {dict(tally.outcomes)}"
    )
    print(f"slowest: {tally.slowest[0]:.1f} s, {tally.slowest[1]}")
    print(*tally.faults, sep="\n")
    return bool(tally.faults)


if __name__ == "__main__":
    sys.exit(main())
