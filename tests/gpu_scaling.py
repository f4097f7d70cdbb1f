"""How training and upscaling scale with GPUs: images per second on 1, 2 and 4 of one host.

    python tests/gpu_scaling.py train                    # of a flow, 16 patches of 160 pixels a GPU
    python tests/gpu_scaling.py upscale                  # to results of one megapixel
    python tests/gpu_scaling.py one --side 2000          # a single picture, which all of them compute

With --device cpu the same is done by processes, or by threads, of one CPU; that only shows that it works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def pictures(folder: Path, count: int, side: int) -> Path:
    """Smooth random pictures, of sizes that do not all fit together."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (side // 8, side // 8, 3), np.uint8))
        coarse.resize((side + index % 4, side), Image.Resampling.BICUBIC).save(folder / f"{index:04}.png")
    return folder


def train(told: argparse.Namespace, count: int, work: Path) -> float:
    """Images per second in the last quarter of a training."""
    out = work / f"run-{count}"
    every = max(1, told.iterations // 4)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command += ["-m", "srspace", "train", told.kind, "--data", str(work / "in"), "--out", str(out), *told.options]
    command += ["--iterations", str(told.iterations), "--batch-size", str(told.batch), "--log-every", str(every)]
    command += ["--device", told.device, "--validate-every", "1000000", "--save-every", "1000000"]
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    rate = [record["iterations_per_second"] for record in records if "iterations_per_second" in record][-1]
    return float(rate) * told.batch * count


def upscale(told: argparse.Namespace, count: int, work: Path) -> float:
    """Pictures per second, once every device has loaded its model and warmed up, which a first run tells nothing of."""
    from srspace.batch import BatchSettings, Done, upscale_files

    names = ",".join(devices(told, count))
    few = pictures(work / f"few-{count}", 8 * count, 256)
    for folder in (few, work / "in"):
        output = work / f"{folder.name}-{count}-out"
        outcomes = upscale_files(folder, BatchSettings(device=names, output=output, weights=told.weights))
        skipped = min(8 * count, len(outcomes) // 2)
        for index, outcome in enumerate(outcomes):
            if not isinstance(outcome, Done):
                sys.exit(f"{outcome.input}: {outcome.status}")
            if index + 1 == skipped:
                start = time.perf_counter()
    return (len(outcomes) - skipped) / (time.perf_counter() - start)


def one(told: argparse.Namespace, count: int, work: Path) -> float:
    """The same picture per second, the second time; pixels are compared with those of one device."""
    from srspace import Upscaler, read_picture
    from srspace.config import SamplingConfig

    picture = read_picture(work / "in" / "0000.png")
    first, *beside = (Upscaler.load(modes=[told.mode], device=name) for name in devices(told, count))
    for upscaler in (first, *beside):
        upscaler.flow.wait_for_kernels()
    sampling = SamplingConfig(samples=told.samples, tile=told.tile)
    seconds, results = [], []
    for others in ([], beside, beside):
        start = time.perf_counter()
        results.append(first.upscale(picture, mode=told.mode, sampling=sampling, beside=others).picture.rgb)
        seconds.append(time.perf_counter() - start)
    print(f"{count} devices: {np.abs(results[0] - results[2]).max() * 255:.6f} levels from one device", flush=True)
    return 1 / seconds[2]


def devices(told: argparse.Namespace, count: int) -> list[str]:
    return [told.device if told.device == "cpu" else f"{told.device}:{index}" for index in range(count)]


MEASURES = {"train": train, "upscale": upscale, "one": one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(MEASURES))
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--kind", default="flow")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=1600)
    parser.add_argument("--weights", default="srflow-da-x4-lite", help="in 'upscale'")
    parser.add_argument("--mode", default="mean")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--tile", type=int)
    parser.epilog = "What is not known here goes to srspace train."
    told, told.options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        many = {"train": (64, 512), "upscale": (told.pictures, 256), "one": (1, told.side)}
        pictures(work / "in", *many[told.what])
        rates: dict[int, float] = {}
        for count in told.gpus:
            rates[count] = MEASURES[told.what](told, count, work)
            first = rates[told.gpus[0]]
            print(
                f"{count} devices: {rates[count]:.3f} images/s, {rates[count] / first:.2f} times the first", flush=True
            )


if __name__ == "__main__":
    main()
