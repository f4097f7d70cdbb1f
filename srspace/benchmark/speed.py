"""How fast candidates come: measured, beside the operations they need and what the device can do at best."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from srspace import modes
from srspace.benchmark.operations import Operations, count_operations
from srspace.benchmark.stopwatch import seconds_of
from srspace.benchmark.synthetic import grey_image
from srspace.config import SamplingConfig
from srspace.devices import peak_memory
from srspace.sampling import Plan, Sampler
from srspace.upscaler import Upscaler


@dataclass(frozen=True)
class SpeedSettings:
    """What is timed.

    Attributes:
        height: of the input, in pixels.
        width: of the input, in pixels.
        mode: what is made of the candidates.
        samples: N, the number of candidates.
        sampling: further settings of the sampling; its N is not used.
        repeats: runs of which the median is taken.
    """

    height: int = 128
    width: int = 128
    mode: str = modes.PLAIN
    samples: int = 25
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    repeats: int = 5


@dataclass(frozen=True)
class SpeedReport:
    """What a measurement found; times in seconds, memory in bytes, rates in operations per second.

    Attributes:
        model: what the network is called.
        mode: what was made of the candidates.
        device: name of the device, with the number of threads on a CPU.
        torch: its version.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        height: of the result, in pixels.
        width: of the result, in pixels.
        samples: N.
        chunk: candidates decoded at a time.
        tiles: how many the picture was divided into.
        first: the first run of all, with everything that is set up on first use.
        kernels: what compiling the GPU's kernels took after that (0: there are none); runs go on meanwhile.
        seconds: median of the later runs of N candidates, with encoder, checks and what the mode makes of them.
        single: the same for one candidate.
        operations: multiply-adds of one run, without those of a fusion network.
        peak: two operations per multiply-add that large matrix products reach here, in the same precision.
        memory: the most that was held: tensors on a GPU, resident memory of the process on a CPU.
        redraws: candidates that were drawn again in one run.
    """

    model: str
    mode: str
    device: str
    torch: str
    precision: str
    height: int
    width: int
    samples: int
    chunk: int
    tiles: int
    first: float
    kernels: float
    seconds: float
    single: float
    operations: Operations
    peak: float
    memory: int
    redraws: int

    @property
    def candidates_per_second(self) -> float:
        return self.samples / self.seconds

    @property
    def megapixels_per_second(self) -> float:
        """Megapixels of results a second."""
        return self.height * self.width / 1e6 / self.seconds

    @property
    def share_of_peak(self) -> float:
        return 2 * self.operations.total(self.samples) / self.seconds / self.peak

    def to_dict(self) -> dict[str, Any]:
        derived = ("candidates_per_second", "megapixels_per_second", "share_of_peak")
        return asdict(self) | {
            "operations_per_run": self.operations.total(self.samples),
            "ratio_to_single": self.seconds / self.single,
            **{name: getattr(self, name) for name in derived},
        }


def measure(
    upscaler: Upscaler, settings: SpeedSettings, *, name: str, report: Callable[[str], None] | None = None
) -> SpeedReport:
    """Time what is made of N candidates of a smooth grey picture, on the path that upscaling takes.

    Args:
        upscaler: the networks.
        settings: what to time.
        name: what to call the network in the report.
        report: called with what is being measured.

    Raises:
        UsageError: the mode is unknown, or does not go with the number of candidates.
        WeightsError: the mode needs a fusion network that the upscaler does not have.
    """
    say = report or (lambda text: None)
    mode, model, device = modes.find(settings.mode), upscaler.flow, upscaler.device
    samples = mode.count(settings.samples)
    upscaler.check(mode, replace(settings.sampling, samples=samples or None))
    lr = grey_image(settings.height, settings.width)
    last: list[Sampler] = []

    def run(count: int) -> float:
        def once() -> None:
            last[:] = [Sampler(model, lr, replace(settings.sampling, samples=count or None))]
            last[0].collapse(upscaler.maker(mode, count, {}))

        return seconds_of(once, device)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    say("first run")
    first = run(samples)
    compiling = seconds_of(model.wait_for_kernels, device)
    run(samples)
    say(f"{samples} candidates")
    seconds = statistics.median(run(samples) for _ in range(settings.repeats))
    plan, redraws = last[0].plan or Plan([], 0), len(last[0].redraws)
    memory = peak_memory(device)
    say("one candidate")
    one = mode.count(1)
    run(one)
    single = statistics.median(run(one) for _ in range(settings.repeats))
    say("matrix products")
    return SpeedReport(
        model=name,
        mode=mode.name,
        device=_device_name(device),
        torch=torch.__version__,
        precision=upscaler.precision,
        height=settings.height * model.scale,
        width=settings.width * model.scale,
        samples=samples,
        chunk=plan.chunk,
        tiles=len(plan.tiles),
        first=first,
        kernels=compiling,
        seconds=seconds,
        single=single,
        operations=count_operations(model.encoder.config, model.config, settings.height, settings.width),
        peak=matrix_peak(device, model.dtype),
        memory=memory,
        redraws=redraws,
    )


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large square matrix product on random data: the best of three rounds."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    repeats = 20 if device.type == "cuda" else 2

    def run() -> None:
        for _ in range(repeats):
            a @ b

    run()
    return 2 * size**3 * repeats / min(seconds_of(run, device) for _ in range(3))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = f"{torch.get_num_threads()} threads"
    return f"{_cpu_name()}, {threads}" if device.type == "cpu" else device.type


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
