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
from srspace.benchmark.records import precision_word
from srspace.benchmark.stopwatch import seconds_of
from srspace.benchmark.synthetic import grey_image
from srspace.config import SamplingConfig
from srspace.devices import peak_memory
from srspace.models import PreparedSRFlow, SRFlow
from srspace.sampling import Plan, Sampler


@dataclass(frozen=True)
class SpeedSettings:
    """What is timed.

    Attributes:
        height: of the input, in pixels.
        width: of the input, in pixels.
        samples: N, the candidates that are merged by their mean.
        dtype: of the subnets' arithmetic.
        sampling: further settings of the sampling; its N is not used.
        repeats: runs of which the median is taken.
    """

    height: int = 128
    width: int = 128
    samples: int = 25
    dtype: torch.dtype = torch.float32
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    repeats: int = 5


@dataclass(frozen=True)
class SpeedReport:
    """What a measurement found; times in seconds, memory in bytes, rates in operations per second.

    Attributes:
        model: what the network is called.
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
        seconds: median of the later runs of N candidates, with encoder, checks and mean.
        single: the same for one candidate.
        operations: multiply-adds of one run.
        peak: two operations per multiply-add that large matrix products reach here, in the same precision.
        memory: the most that was held: tensors on a GPU, resident memory of the process on a CPU.
        redraws: candidates that were drawn again in one run.
    """

    model: str
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
        """Output megapixels of merged pictures a second."""
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


@torch.no_grad()
def measure(
    model: SRFlow, settings: SpeedSettings, *, name: str, report: Callable[[str], None] | None = None
) -> SpeedReport:
    """Time a mean of N candidates of a smooth grey picture, on the path that upscaling takes.

    Args:
        model: in float32, on its device.
        settings: what to time.
        name: what to call the network in the report.
        report: called with what is being measured.
    """
    say = report or (lambda text: None)
    device = model.encoder.conv_first.weight.device
    lr = grey_image(settings.height, settings.width)
    prepared = PreparedSRFlow(model, settings.dtype)
    last: list[Sampler] = []

    def run(count: int) -> float:
        def once() -> None:
            last[:] = [Sampler(prepared, lr, replace(settings.sampling, samples=count))]
            last[0].collapse(modes.find(modes.DEFAULT).sink(count))

        return seconds_of(once, device)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    say("first run")
    first = run(settings.samples)
    compiling = seconds_of(prepared.wait_for_kernels, device)
    run(settings.samples)
    say(f"{settings.samples} candidates")
    seconds = statistics.median(run(settings.samples) for _ in range(settings.repeats))
    plan, redraws = last[0].plan or Plan([], 0), len(last[0].redraws)
    memory = peak_memory(device)
    say("one candidate")
    run(1)
    single = statistics.median(run(1) for _ in range(settings.repeats))
    say("matrix products")
    return SpeedReport(
        model=name,
        device=_device_name(device),
        torch=torch.__version__,
        precision=precision_word(str(settings.dtype).removeprefix("torch.")),
        height=settings.height * model.scale,
        width=settings.width * model.scale,
        samples=settings.samples,
        chunk=plan.chunk,
        tiles=len(plan.tiles),
        first=first,
        kernels=compiling,
        seconds=seconds,
        single=single,
        operations=count_operations(model.encoder.config, model.flow.config, settings.height, settings.width),
        peak=matrix_peak(device, settings.dtype),
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
