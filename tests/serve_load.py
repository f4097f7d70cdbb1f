"""Load on a service, by hand: ``python -m tests.serve_load --seconds 60 --clients 50``.

A service with tiny random weights is started in a process of its own. Clients send pictures of several sizes and
options without a pause; some of what they send is no picture. Every answer is compared with what the library makes of
the picture, and the memory of the service is read once a second.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from srspace.batch.sizing import SizedUpscaler
from srspace.checkpoints import save_model
from srspace.config import SamplingConfig
from srspace.images import Picture, read_picture
from srspace.sizes import TargetSize
from srspace.upscaler import Upscaler
from tests.networks import calm_flow
from tests.pictures import encoded

SIZES = ((8, 6), (13, 21), (32, 24), (40, 40))
ASKED = ({"mode": "rrdb"}, {"mode": "mean", "samples": "2"}, {"mode": "rrdb", "scale": "1.5"})

BOMB = encoded(Image.new("1", (20_000, 20_000)))
"""400 megapixels in some kilobytes."""


@dataclass(frozen=True)
class Case:
    """What is sent, and the picture that must come back."""

    data: bytes
    asked: str
    expected: Picture


def cases(weights: Path) -> list[Case]:
    upscaler = Upscaler.load(str(weights), modes=["rrdb", "mean"], device="cpu", precision="fp32")
    found = []
    for seed, (width, height) in enumerate(SIZES):
        noise = np.random.default_rng(seed).integers(90, 160, (height, width, 3), np.uint8)
        data = encoded(Image.fromarray(noise))
        for asked in ASKED:
            size = TargetSize(scale=float(asked["scale"])) if "scale" in asked else None
            sampling = SamplingConfig(samples=int(asked["samples"])) if "samples" in asked else None
            expected = SizedUpscaler.of(upscaler, size).upscale(
                read_picture(data), mode=asked["mode"], sampling=sampling
            )
            found.append(Case(data, "&".join(f"{k}={v}" for k, v in asked.items()), expected.picture))
    return found


def hostile(rng: random.Random, good: bytes) -> tuple[bytes, str]:
    """What is no picture, or asks for what cannot be."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(5000)), ""
    if kind == 1:
        return good[: rng.randrange(len(good))], ""
    if kind == 2:
        broken = bytearray(good)
        for _ in range(20):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        return bytes(broken), "mode=rrdb"
    if kind == 3:
        return BOMB, ""
    return good, rng.choice(("scale=1e9", "mode=%00", "tau=nan", "samples=-5", "format=exe", "seed=x"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hostile", type=float, default=0.05, help="share of bad requests [%(default)s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "x4")
        save_model(weights, calm_flow())
        known = cases(weights)
        command = [sys.executable, "-m", "srspace", "serve", "--port", "0", "--weights", str(weights)]
        command += ["--device", "cpu", "--precision", "fp32"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            address = re.search(r"listening on (\S+);", process.stderr.readline())[1]
            threading.Thread(target=lambda: [print(line, end="") for line in process.stderr], daemon=True).start()
            try:
                return _load(address, known, psutil.Process(process.pid), arguments)
            finally:
                process.terminate()
                print("exit code of the service:", process.wait())


def _load(address: str, known: list[Case], service: psutil.Process, arguments: argparse.Namespace) -> int:
    statuses: Counter[str] = Counter()
    wrong: list[str] = []
    waits: list[float] = []
    lock, end = threading.Lock(), time.monotonic() + arguments.seconds

    def client(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < end:
            case = rng.choice(known)
            bad = rng.random() < arguments.hostile
            data, asked = hostile(rng, case.data) if bad else (case.data, case.asked)
            start = time.monotonic()
            try:
                with urllib.request.urlopen(f"{address}/upscale?{asked}", data=data, timeout=120) as answer:
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            except OSError as error:
                status, body = 0, str(error).encode()
            problem = None
            if bad:
                if status not in (200, 400, 413, 415, 422, 429):
                    problem = f"{status} for a bad request ({asked}): {body[:200]!r}"
            elif status == 200:
                found = read_picture(body)
                if (
                    found.rgb.shape != case.expected.rgb.shape
                    or np.abs(found.rgb - case.expected.rgb).max() > 1.01 / 255
                ):
                    problem = f"a wrong picture for {case.asked}"
            elif status != 429:
                problem = f"{status} for a good request: {body[:200]!r}"
            with lock:
                statuses[f"{'bad' if bad else 'good'} {status}"] += 1
                waits.append(time.monotonic() - start)
                if problem:
                    wrong.append(problem)
            if status == 429:
                time.sleep(0.2)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(arguments.clients)]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(service.memory_info().rss / 2**20)
        time.sleep(1)
    third = max(1, len(memory) // 3)
    print(json.dumps(statuses, sort_keys=True))
    print(f"memory in MiB: {' '.join(f'{m:.0f}' for m in memory[::5])}")
    print(
        f"second third {statistics.mean(memory[third : 2 * third]):.0f} MiB, last third "
        f"{statistics.mean(memory[-third:]):.0f} MiB, peak {max(memory):.0f} MiB"
    )
    print(f"seconds of an answer: median {statistics.median(waits):.2f}, longest {max(waits):.2f}")
    print(f"{len(wrong)} wrong", *wrong[:10], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
