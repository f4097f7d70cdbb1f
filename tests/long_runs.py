"""Long runs by hand, in a folder of their own: ``python -m tests.long_runs WHAT FOLDER``.

``folder``: many small pictures, some of them broken: every good one is done once, memory stays flat (a figure is
drawn), and the throughput is compared with that of the model alone on the same pictures.
``kills``: runs that are killed at random moments, each followed by one that goes on: no partial file, none lost, none
done twice.
``watch``: pictures that are written slowly, in random order, into a folder that is watched.
``memory``: a large picture with ``--max-memory``, and the most memory that the process took.
``threads``: eight threads on one upscaler, compared with one after the other.
``together``: pictures of one size, computed together and one by one, each way once before it is timed. One process, and
of several devices the first one, does those one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
from PIL import Image

from srspace.batch import BatchSettings, Done, Plan, Workshop, upscale_files
from srspace.batch.inputs import find_inputs
from srspace.config import SamplingConfig, parse_memory
from srspace.images import read_picture
from srspace.upscaler import Upscaler

SIZES = ((48, 32), (40, 40), (33, 47))
BROKEN = (b"", b"no picture at all", b"\x89PNG\r\n\x1a\n" + bytes(40))


def pictures(folder: Path, count: int, broken: int, *, seed: int = 0) -> list[Path]:
    """Smooth pictures of a few sizes, as PNG and JPEG, and among them files that are none or are cut short."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(seed), []
    for k in range(count):
        coarse = Image.fromarray(rng.integers(40, 216, (5, 5, 3), np.uint8))
        path = folder / f"{k:05d}.{'png' if k % 3 else 'jpg'}"
        coarse.resize(SIZES[k % len(SIZES)], Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    for number, path in enumerate(random.Random(seed).sample(paths, broken)):
        kind = number % (len(BROKEN) + 1)
        path.write_bytes(BROKEN[kind] if kind < len(BROKEN) else path.read_bytes()[:200])
    return paths


class Memory:
    """Resident memory of this process, sampled by a thread while a block runs."""

    def __init__(self, every: float = 0.25) -> None:
        self.every, self.samples = every, list[tuple[float, float]]()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _sample(self) -> None:
        start, process = time.monotonic(), psutil.Process()
        while not self._ends.wait(self.every):
            self.samples.append((time.monotonic() - start, process.memory_info().rss / 2**20))

    def told(self) -> dict[str, float]:
        """The largest of each fifth of the time, in MiB."""
        values = [value for _, value in self.samples]
        fifth = max(1, len(values) // 5)
        return {f"fifth {k + 1}": round(max(values[k * fifth : (k + 1) * fifth])) for k in range(5)}

    def draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.add_subplot(xlabel="seconds", ylabel="resident memory, MiB")
        axes.plot(*zip(*self.samples, strict=True))
        axes.set_ylim(bottom=0)
        figure.savefig(path)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of computing that something takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def folder(given: argparse.Namespace) -> None:
    paths = pictures(given.folder / "in", given.count, given.broken)
    settings = BatchSettings(
        weights=given.weights, mode=given.mode, output=given.folder / "out", device=given.device,
        records=given.folder / "records.jsonl",
    )  # fmt: skip
    upscaler = Upscaler.load(given.weights, modes=[given.mode], device=given.device)
    good = []
    for path in paths:
        try:
            good.append(read_picture(path))
        except Exception:
            continue
    alone = timed(lambda: [upscaler.upscale(picture, mode=given.mode) for picture in good[: len(good) // 2]])
    run = upscale_files(given.folder / "in", settings)
    statuses: Counter[str] = Counter()
    with Memory() as memory:
        whole = timed(lambda: statuses.update(outcome.status for outcome in run))
    rest = timed(lambda: [upscaler.upscale(picture, mode=given.mode) for picture in good[len(good) // 2 :]])
    memory.draw(given.folder / "memory.png")
    results = [*(given.folder / "out").iterdir()]
    lines = (given.folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    wall, cpu = (one + other for one, other in zip(alone, rest, strict=True))
    told(
        statuses=dict(statuses), results=len(results), records=len(lines),
        done_once=len({json.loads(line)["input"] for line in lines}) == len(lines),
        seconds=round(whole[0], 1), seconds_of_the_model_alone=round(wall, 1),
        throughput=round(wall / whole[0], 3), throughput_by_cpu_time=round(cpu / whole[1], 3),
        memory=memory.told(),
    )  # fmt: skip


def kills(given: argparse.Namespace) -> None:
    paths = pictures(given.folder / "in", given.count, 0)
    rng, finished = random.Random(given.seed), 0
    for number in range(given.times):
        out, records = given.folder / f"out{number}", given.folder / f"records{number}.jsonl"
        command = [sys.executable, "-m", "srspace", "upscale", str(given.folder / "in"), "-o", str(out)]
        command += ["-w", given.weights, "-m", given.mode, "--device", "cpu", "--jsonl", str(records), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not list(out.glob("[!.]*_x4.*")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, given.seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed = process.returncode == -signal.SIGKILL
        first = {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.glob("[!.]*_x4.*")}
        for name in first:
            with Image.open(out / name) as image:
                image.load()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        statuses = Counter(json.loads(line)["status"] for line in done.stdout.splitlines())
        second = {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.iterdir()}
        recorded = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
        of_each = Counter(record["input"] for record in recorded)
        holds = (
            killed and 0 < len(first) < len(paths) and done.returncode == 0 and len(second) == len(paths)
            and all(second[name] == when for name, when in first.items())
            and statuses == {"kept": len(first), "done": len(paths) - len(first)}
            and len(of_each) == len(paths) and set(of_each.values()) == {1}
        )  # fmt: skip
        finished += holds
        print(
            f"{number + 1}: killed with {len(first)} of {len(paths)} done; {'well' if holds else 'WRONG'}", flush=True
        )
    told(kills=given.times, well=finished)


def watch(given: argparse.Namespace) -> None:
    sources = pictures(given.folder / "sources", given.count, 0)
    inbox, out, done = (given.folder / name for name in ("inbox", "out", "done"))
    inbox.mkdir()
    command = [sys.executable, "-m", "srspace", "upscale", "--watch", str(inbox), "-o", str(out), "--done", str(done)]
    command += ["-w", given.weights, "-m", given.mode, "--device", "cpu", "--json"]
    with (given.folder / "outcomes.jsonl").open("wb") as file:
        process = subprocess.Popen(command, stdout=file)
    rng = random.Random(given.seed)
    rng.shuffle(sources)

    def slowly(source: Path) -> None:
        data, place = source.read_bytes(), 0
        with (inbox / source.name).open("wb", buffering=0) as file:
            while place < len(data):
                step = rng.randint(1, max(2, len(data) // 4))
                file.write(data[place : place + step])
                place += step
                time.sleep(rng.uniform(0, 0.8))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(slowly, sources))
    deadline = time.monotonic() + 120
    while list(inbox.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.wait()
    lines = (given.folder / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    outcomes = [json.loads(line) for line in lines]
    told(
        files=len(sources), statuses=dict(Counter(outcome["status"] for outcome in outcomes)),
        each_once=len({outcome["input"] for outcome in outcomes}) == len(outcomes) == len(sources),
        results=len(list(out.iterdir())), moved=len(list(done.iterdir())), exit_code=process.returncode,
    )  # fmt: skip


def memory(given: argparse.Namespace) -> None:
    path = given.folder / "large.png"
    given.folder.mkdir(parents=True, exist_ok=True)
    width, height = map(int, given.size.split("x"))
    coarse = Image.fromarray(np.random.default_rng(0).integers(40, 216, (9, 9, 3), np.uint8))
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(path)
    command = [sys.executable, "-m", "srspace", "upscale", str(path), "-w", given.weights, "-m", given.mode]
    command += ["--device", "cpu", "--max-memory", given.limit, "--overwrite", "-n", str(given.samples)]
    process, most = subprocess.Popen(command, start_new_session=True), 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
        most = max([most, *(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.05)
    limit = parse_memory(given.limit)
    told(
        size=given.size, limit_mib=limit >> 20, peak_mib=most >> 20, share=round(most / limit, 3),
        exit_code=process.returncode,
    )  # fmt: skip


def threads(given: argparse.Namespace) -> None:
    upscaler = Upscaler.load(given.weights, modes=[given.mode], device=given.device)
    found = [read_picture(path) for path in pictures(given.folder / "in", given.count, 0)]
    samplings = [SamplingConfig(samples=2, seed=k) for k in range(len(found))]

    def work(k: int) -> np.ndarray:
        return upscaler.upscale(found[k], mode=given.mode, sampling=samplings[k]).picture.rgb

    one = [work(k) for k in range(len(found))]
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(work, range(len(found))))
    told(pictures=len(found), identical=sum(np.array_equal(a, b) for a, b in zip(one, many, strict=True)))


def carry_out(workshop: Workshop, paths: list[Path], output: Path) -> float:
    """Pictures a second, the first quarter left out: processes have to begin."""
    found = find_inputs(paths, recursive=False)
    plan = Plan(found, replace(workshop.settings, output=output), workshop.scale)
    for number, outcome in enumerate(workshop.run(plan), 1):
        if not isinstance(outcome, Done):
            raise RuntimeError(f"{outcome.input} was not done")
        if number == len(paths) // 4:
            start = time.perf_counter()
    return (len(paths) - len(paths) // 4) / (time.perf_counter() - start)


def together(given: argparse.Namespace) -> None:
    paths = pictures(given.folder / "in", given.count, 0)
    width, height = map(int, given.size.split("x"))
    for path in paths:
        with Image.open(path) as image:
            image.resize((width, height), Image.Resampling.BICUBIC).save(path)
    settings = BatchSettings(weights=given.weights, mode=given.mode, device=given.device, precision=given.precision)
    first = given.device.split(",")[0]
    ways = {"one_by_one": replace(settings, device=first, sampling=SamplingConfig(batch_size=1)), "together": settings}
    rates = {}
    for way, own in ways.items():
        workshop = Workshop(own)
        here = patch("srspace.batch.workshop.devices_for", lambda *_: []) if way == "one_by_one" else nullcontext()
        with here:
            carry_out(workshop, paths, given.folder / f"{way}-first")  # weights and kernels are there the second time
            rates[way] = carry_out(workshop, paths, given.folder / way)
    far = [
        255 * np.abs(read_picture(path).rgb - read_picture(given.folder / "one_by_one" / path.name).rgb).max()
        for path in (given.folder / "together").iterdir()
    ]
    upscaler = Upscaler.load(given.weights, modes=[given.mode], device=first, precision=given.precision)
    told(
        pictures=len(far), at_a_time=upscaler.at_a_time(height, width, mode=given.mode), precision=upscaler.precision,
        pictures_a_second={way: round(rate, 1) for way, rate in rates.items()},
        times=round(rates["together"] / rates["one_by_one"], 2), largest_difference=round(float(max(far)), 2),
    )  # fmt: skip


def told(**figures: object) -> None:
    print(json.dumps(figures))


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = {run.__name__: run for run in (folder, kills, watch, memory, threads, together)}
    counts = {"folder": 2000, "kills": 60, "watch": 100, "memory": 1, "threads": 64, "together": 500}
    parser.add_argument("what", choices=runs)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--count", type=int, help="pictures")
    parser.add_argument("--broken", type=int, default=50, help="of them, in 'folder' [%(default)s]")
    parser.add_argument("--times", type=int, default=20, help="kills [%(default)s]")
    parser.add_argument("--seconds", type=float, default=1.0, help="the longest wait before a kill [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--weights", default="srflow-da-x4-lite", help="[%(default)s]")
    parser.add_argument("--mode", default="rrdb", help="[%(default)s]")
    parser.add_argument("--samples", type=int, default=4, help="candidates, in 'memory' [%(default)s]")
    parser.add_argument("--device", default="cpu", help="[%(default)s]")
    parser.add_argument("--precision", default="auto", help="in 'together' [%(default)s]")
    parser.add_argument("--size", default="1200x900", help="in 'memory' and 'together' [%(default)s]")
    parser.add_argument("--limit", default="2G", help="in 'memory' [%(default)s]")
    given = parser.parse_args()
    given.count = given.count or counts[given.what]
    if given.folder.exists() and any(os.scandir(given.folder)):
        parser.error(f"{given.folder} is not empty")
    runs[given.what](given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
