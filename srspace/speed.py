"""How fast candidates come: measured, beside the operations they need and what the device can do at best."""

from __future__ import annotations

import copy
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from srspace import modes
from srspace.config import FlowConfig, RRDBConfig, SamplingConfig
from srspace.devices import peak_memory
from srspace.models import PreparedSRFlow, SRFlow
from srspace.sampling import Plan, Sampler, draw_latents

PUBLISHED = (RRDBConfig(nb=23), FlowConfig(stack_blocks=(1, 8, 15, 22)))
"""Sizes of the published 4x network."""


@dataclass(frozen=True)
class Operations:
    """Multiply-adds of convolutions for one image.

    Attributes:
        encoder: the encoder, once.
        shared: what the candidates share in the flow, once.
        candidate: each candidate.
        naive: each candidate when everything is recomputed for it.
    """

    encoder: int
    shared: int
    candidate: int
    naive: int

    def total(self, candidates: int) -> int:
        return self.encoder + self.shared + candidates * self.candidate


@dataclass(frozen=True)
class SpeedReport:
    """What a measurement found; times in seconds, memory in bytes, rates in operations per second.

    Attributes:
        device: name of the device, with the number of threads on a CPU.
        first: the first run of all, with everything that is set up on first use.
        kernels: what compiling the GPU's kernels took after that (0: there are none); runs go on meanwhile.
        seconds: median of the later runs of N candidates, with encoder, checks and mean.
        single: the same for one candidate.
        operations: multiply-adds of one run.
        peak: two operations per multiply-add that large matrix products reach here, in the same precision.
        memory: the most that was held: tensors on a GPU, resident memory of the process on a CPU.
        redraws: candidates that were drawn again in one run.
        naive: seconds that the unshared path takes for N candidates (None: not measured).
        naive_timed: candidates over which that was measured; its cost is the same for each.
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
    naive: float | None = None
    naive_timed: int = 0

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

    @property
    def speedup(self) -> float | None:
        return None if self.naive is None else self.naive / self.seconds

    def to_dict(self) -> dict[str, Any]:
        derived = ("candidates_per_second", "megapixels_per_second", "share_of_peak", "speedup")
        return asdict(self) | {
            "operations_per_run": self.operations.total(self.samples),
            "ratio_to_single": self.seconds / self.single,
            **{name: getattr(self, name) for name in derived},
        }


def count_operations(encoder: RRDBConfig, flow: FlowConfig, height: int, width: int) -> Operations:
    """Count the multiply-adds of an LR image of that size, from the shapes of the convolutions."""
    nf, gc, hidden = encoder.nf, encoder.gc, flow.hidden_channels
    dense = sum((nf + i * gc) * gc for i in range(4)) + (nf + 4 * gc) * nf
    per_pixel = 9 * (3 * nf + encoder.nb * 3 * dense + nf * nf)
    per_pixel += sum(4 ** (i + 1) * 9 * nf * nf for i in range(flow.levels - 1))
    condition = nf * (1 + len(flow.stack_blocks))
    shared = candidate = naive = 0
    channels = 3
    for level in range(flow.levels):
        area = 4 ** (flow.levels - 1 - level)
        channels *= 4
        kept, changed = channels // 2, channels - channels // 2
        inner = 9 * flow.hidden_layers * hidden**2
        features = 9 * condition * hidden + inner + 9 * hidden * 2 * channels
        own = 9 * kept * hidden + inner + 9 * hidden * 2 * changed
        shared += area * flow.steps * (features + 9 * condition * hidden)
        candidate += area * flow.steps * (own + channels**2)
        naive += area * flow.steps * (features + 9 * condition * hidden + own + channels**2)
        naive += area * flow.coupling_free_steps * channels**2
        if level < flow.levels - 1:
            candidate += area * 9 * kept * 2 * changed
            naive += area * 9 * kept * 2 * changed
            channels = kept
    pixels = height * width
    return Operations(pixels * per_pixel, pixels * shared, pixels * candidate, pixels * (per_pixel + naive))


def random_model(encoder: RRDBConfig, flow: FlowConfig, *, seed: int = 0) -> SRFlow:
    """A model with random weights whose candidates stay near grey, so that none is drawn again.

    Speed depends on the sizes alone; this serves where weights of those sizes are not at hand.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SRFlow(encoder, flow).eval().requires_grad_(False)
        for name, parameter in model.flow.named_parameters():
            if not name.endswith("invconv.weight"):
                parameter.add_(torch.randn_like(parameter) * 0.02)
    opening = model.flow.levels[0].transitions[0].actnorm  # type: ignore[union-attr, index]
    opening.bias.fill_(-0.5)
    opening.logs.fill_(5.0)
    return model


def grey_image(height: int, width: int, *, seed: int = 0) -> Tensor:
    """A smooth, low-contrast random image ``(3, height, width)``."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    return 0.45 + 0.1 * F.interpolate(coarse, (height, width), mode="bilinear")[0]


def naive_decode(model: SRFlow, lr: Tensor, latents: list[Tensor]) -> Tensor:
    """The unshared path: everything anew for every candidate, inverses one by one, as the algebra is published.

    It shares no code with the fast path beyond the modules' weights, so that it can stand as the oracle in the tests
    and as the opponent in the benchmark; the product never takes it.

    Args:
        model: the flow, its subnets in any precision.
        lr: ``(1, 3, h, w)``.
        latents: one ``(1, C, H, W)`` float32 tensor per level, splits first.

    Returns:
        ``(1, 3, H, W)`` float32, unclamped.
    """
    dtype = model.encoder.dtype
    features = model.features(lr)
    maps = [*reversed(features.upsampled), features.last]
    y = latents[-1]
    for i in reversed(range(len(model.flow.levels))):
        level: Any = model.flow.levels[i]
        stacked = F.interpolate(features.stacked, size=maps[i].shape[-2:], mode="nearest")
        condition = torch.cat((maps[i], stacked), 1)
        if level.split is not None:
            raw = level.split.conv(y.to(dtype))
            y = torch.cat((y, latents[i] * raw[:, 1::2].exp() + raw[:, 0::2]), 1)
        for step in reversed(level.steps):
            coupling = step.coupling
            kept, changed = y[:, : coupling.kept], y[:, coupling.kept :]
            raw = coupling.f_affine(torch.cat((kept.to(dtype), condition), 1))
            changed = changed / (torch.sigmoid(raw[:, 1::2] + 2) + coupling.eps) - raw[:, 0::2]
            raw = coupling.f_features(condition)
            y = torch.cat((kept, changed), 1) / (torch.sigmoid(raw[:, 1::2] + 2) + coupling.eps) - raw[:, 0::2]
            y = step.actnorm.inverse(step.invconv.inverse(y))
        for step in reversed(level.transitions):
            y = step.actnorm.inverse(step.invconv.inverse(y))
        y = level.squeeze.inverse(y)
    return y


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large square matrix product on random data: the best of three rounds."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    repeats = 20 if device.type == "cuda" else 2

    def run() -> None:
        for _ in range(repeats):
            a @ b

    run()
    return 2 * size**3 * repeats / min(_timed(run, device) for _ in range(3))


@torch.no_grad()
def measure(
    model: SRFlow,
    *,
    name: str,
    size: tuple[int, int],
    samples: int,
    dtype: torch.dtype,
    naive: bool = False,
    lr: Tensor | None = None,
    sampling: SamplingConfig | None = None,
    repeats: int = 5,
    report: Callable[[str], None] | None = None,
) -> SpeedReport:
    """Measure a streamed mean of N candidates, on the path that ``srspace upscale`` takes.

    Args:
        model: in float32, on its device.
        name: what to call it in the report.
        size: height and width of the LR image.
        samples: N.
        dtype: of encoder and subnets.
        naive: also time the unshared path.
        lr: the image ``(3, h, w)`` (None: :func:`grey_image`).
        sampling: further settings of the sampling.
        repeats: runs of which the median is taken.
        report: called with what is being measured.
    """
    say = report or (lambda text: None)
    device = model.encoder.conv_first.weight.device
    lr = grey_image(*size) if lr is None else lr
    sampling = sampling or SamplingConfig()
    prepared = PreparedSRFlow(model, dtype)
    last: list[Sampler] = []

    def run(count: int) -> float:
        def once() -> None:
            last[:] = [Sampler(prepared, lr, replace(sampling, samples=count))]
            last[0].collapse(modes.find(modes.DEFAULT).sink(count))

        return _timed(once, device)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    say("first run")
    first = run(samples)
    compiling = _timed(prepared.wait_for_kernels, device)
    run(samples)
    say(f"{samples} candidates")
    seconds = statistics.median(run(samples) for _ in range(repeats))
    plan = last[0].plan or Plan([], 0)
    redraws = last[0].redraws
    memory = peak_memory(device)
    say("one candidate")
    run(1)
    single = statistics.median(run(1) for _ in range(repeats))
    timed, naive_seconds = 0, None
    if naive:
        timed = min(samples, 25 if device.type == "cuda" else 3)
        say(f"unshared path, {timed} candidates")
        naive_seconds = _naive_seconds(model, lr, sampling, dtype, timed) * samples / timed
    say("matrix products")
    return SpeedReport(
        model=name, device=_device_name(device), torch=torch.__version__, precision=str(dtype).removeprefix("torch."),
        height=lr.shape[1] * model.scale, width=lr.shape[2] * model.scale, samples=samples, chunk=plan.chunk,
        tiles=len(plan.tiles),
        first=first, kernels=compiling, seconds=seconds, single=single,
        operations=count_operations(model.encoder.config, model.flow.config, *lr.shape[1:]),
        peak=matrix_peak(device, dtype), memory=memory, redraws=len(redraws),
        naive=naive_seconds, naive_timed=timed,
    )  # fmt: skip


def _naive_seconds(model: SRFlow, lr: Tensor, sampling: SamplingConfig, dtype: torch.dtype, count: int) -> float:
    device = model.encoder.conv_first.weight.device
    unshared = copy.deepcopy(model).set_subnet_dtype(dtype)
    if device.type in ("cpu", "cuda"):
        unshared.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shapes = model.flow.latent_shapes(lr.shape[1] * model.scale, lr.shape[2] * model.scale)

    def run(candidates: int) -> None:
        total: Tensor | float = 0.0
        for i in range(candidates):
            drawn = draw_latents(shapes, seed=sampling.seed, index=i, temperature=sampling.temperature)
            total += naive_decode(unshared, lr.to(device)[None], [z.to(device)[None] for z in drawn]).clamp_(0, 1)

    run(1)
    return _timed(lambda: run(count), device)


def _timed(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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
