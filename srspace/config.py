"""Frozen configurations: the sizes of the networks and the settings of a run. Defaults live here once."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from srspace.errors import CheckpointError, UsageError

DEFAULT_WEIGHTS = "srflow-da-x4-lite"
AUTO_WEIGHTS = "auto"  # in place of a name: the weights that suit each picture
SMALLEST_TILE = 16  # in pixels of the input
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


class _Config:
    """Conversion to and from the plain dictionaries that ``config.json`` holds."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from a dictionary; lists become tuples.

        Raises:
            CheckpointError: a key is unknown or a required one is missing.
        """
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        if unknown:
            raise CheckpointError(f"the {cls.__name__} configuration has unknown keys: {', '.join(unknown)}.")
        try:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the {cls.__name__} configuration is not usable: {error}.") from error


@dataclass(frozen=True)
class RRDBConfig(_Config):
    """Sizes of the RRDB encoder.

    Attributes:
        scale: upscaling factor: 2, 4 or 8.
        nf: channels between the blocks of the trunk.
        gc: channels that each convolution inside a block adds.
        nb: residual-in-residual dense blocks in the trunk.
        skip: ``"trunk"`` adds the trunk's own output around ``trunk_conv`` (SRFlow's encoder);
            ``"first"`` adds ``conv_first``'s output (the original ESRGAN).
    """

    scale: int = 4
    nf: int = 64
    gc: int = 32
    nb: int = 8
    skip: Literal["trunk", "first"] = "trunk"

    def __post_init__(self) -> None:
        if self.scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, not {self.scale}")
        if min(self.nf, self.gc, self.nb) < 1:
            raise ValueError("nf, gc and nb must be positive")
        if self.skip not in ("trunk", "first"):
            raise ValueError(f"skip must be 'trunk' or 'first', not {self.skip!r}")


@dataclass(frozen=True)
class FlowConfig(_Config):
    """Sizes of the conditional flow: SRFlow-DA (Jo et al., 2021).

    Attributes:
        scale: upscaling factor, 2 to the power of the levels.
        levels: L, how often the flow halves the sides.
        steps: K, conditional steps of each level.
        hidden_channels: width of the couplings' subnets.
        hidden_layers: 3x3 convolutions between the first and the last one of a subnet.
        stack_blocks: 0-based trunk blocks whose outputs condition every coupling.
        coupling_free_steps: steps of actnorm and 1x1 convolution that open each level.
        affine_eps: added to each coupling's sigmoid scale, so that its inverse stays bounded.
    """

    scale: int = 4
    levels: int = 2
    steps: int = 6
    hidden_channels: int = 64
    hidden_layers: int = 4
    stack_blocks: tuple[int, ...] = (1, 3, 5, 7)
    coupling_free_steps: int = 2
    affine_eps: float = 1e-4

    def __post_init__(self) -> None:
        if self.scale != 2**self.levels:
            raise ValueError(f"{self.levels} levels upscale by {2**self.levels}, not by {self.scale}")
        if (
            min(self.levels, self.steps, self.hidden_channels) < 1
            or min(self.hidden_layers, self.coupling_free_steps) < 0
        ):
            raise ValueError("levels, steps and hidden_channels must be positive")
        if not self.stack_blocks or min(self.stack_blocks) < 0:
            raise ValueError("stack_blocks must name at least one block")


@dataclass(frozen=True)
class FusionConfig(_Config):
    """Sizes of a fusion network: candidates in, one picture out.

    Attributes:
        samples: candidates in a stack (the paper's network); None for the network that takes any number.
        channels: width of the residual blocks.
        blocks: number of residual blocks.
        residual: add the mean of the candidates to the output, so that training starts at the ensemble mean.
        embedding: width of what is computed of each candidate (only where any number is taken).
        gain: factor on what a residual network adds to the mean; below 1, the result lies that far from the mean
            towards the network's own.
    """

    samples: int | None = 10
    channels: int = 64
    blocks: int = 2
    residual: bool = True
    embedding: int = 32
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.gain <= 1 or (self.gain != 1 and not self.residual):
            raise ValueError("a gain lies between 0 and 1, and needs a residual network")
        if min(self.samples or 1, self.channels, self.embedding) < 1 or self.samples == 0 or self.blocks < 0:
            raise ValueError("samples, channels and embedding must be positive")


@dataclass(frozen=True)
class DialConfig(_Config):
    """Sizes of a fusion network with a dial.

    Attributes:
        scale: the upscaling factor.
        features: channels of the encoder's features that it is given.
        channels: width of the residual blocks.
        blocks: number of residual blocks.
        embedding: width of the layer that turns the balance into the blocks' modulation.
        consistent_below: results of a lower balance are made to agree with the input where the user does not say
            (see :mod:`srspace.collapse.consistency`): as far as this was measured to help. 0: none are.
        natural_end: what the network is told in place of balance 1, in (0, 1], and so in proportion below: how much of
            what it was trained for is offered.
    """

    scale: int = 4
    features: int = 320
    channels: int = 128
    blocks: int = 12
    embedding: int = 64
    consistent_below: float = 0.0
    natural_end: float = 1.0

    def __post_init__(self) -> None:
        if min(self.scale, self.features, self.channels, self.blocks, self.embedding) < 1:
            raise ValueError("scale, features, channels, blocks and embedding must be positive")
        if not 0 <= self.consistent_below <= 1:
            raise ValueError("consistent_below must lie between 0 and 1")
        if not 0 < self.natural_end <= 1:
            raise ValueError("natural_end must lie above 0 and not above 1")


@dataclass(frozen=True)
class AssessorConfig(_Config):
    """Sizes of the network that assesses pictures.

    Attributes:
        width: of its layers.
    """

    width: int = 32

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be positive")


@dataclass(frozen=True)
class SamplingConfig(_Config):
    """How candidates are drawn.

    Attributes:
        temperature: tau, the standard deviation of the latents, from 0 to 2.
        samples: N, the number of candidates (None: what the mode usually takes).
        seed: key of the latents; any whole number from 0 to 2^63 - 1. Candidate i depends on the seed and i alone,
            whatever N.
        tile: side of a tile, in pixels of the input (None: from the memory that is there; 0: never tile).
        batch_size: candidates computed at a time (None: from the memory that is there).
        max_memory: bytes that the process may take on the device (None: half of what is free).
        latents: ``"independent"``, or ``"antithetic"``: candidates come in pairs whose latents are each other's
            negatives, so that their errors partly cancel in a mean (None: what the mode usually takes). Candidate 2k
            is the independent one of the same number and candidate 2k + 1 its mirror image; where a candidate is
            drawn again, its redraw is the mirror image of the other's redraw, which need not take place.
    """

    temperature: float = 0.9
    samples: int | None = None
    seed: int = 0
    tile: int | None = None
    batch_size: int | None = None
    max_memory: int | None = None
    latents: Literal["independent", "antithetic"] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 2):
            raise UsageError(f"the temperature must lie between 0 and 2, not {self.temperature}.")
        if self.samples is not None and self.samples < 1:
            raise UsageError(f"at least one sample is needed, not {self.samples}.")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed must be a whole number from 0 to 2^63 - 1, not {self.seed}.")
        if self.latents not in (None, "independent", "antithetic"):
            raise UsageError(f"latents are 'independent' or 'antithetic', not {self.latents!r}.")
        if self.tile is not None and self.tile != 0 and self.tile < SMALLEST_TILE:
            raise UsageError(
                f"a tile must be at least {SMALLEST_TILE} pixels of the input wide (0: no tiles), not {self.tile}."
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"the batch size must be positive, not {self.batch_size}.")
        if self.max_memory is not None and self.max_memory < 1:
            raise UsageError(f"the memory limit must be positive, not {self.max_memory}.")


@dataclass(frozen=True)
class TrainConfig(_Config):
    """Settings that all trainings share; the values are the paper's where it gives them.

    Attributes:
        iterations: updates of the weights.
        batch_size: patches in a batch.
        accumulate: batches of one process whose gradients are averaged for one update, with those of all others.
        patch: side of an HR patch, in pixels.
        learning_rate: Adam's step size where the schedule starts.
        betas: decay of Adam's averages of the gradient and of its square, in [0, 1).
        schedule: course of the learning rate: cosine (to zero), steps (halved at 50, 75, 90 and 95 %) or constant.
        warmup: iterations over which the learning rate rises to its first value.
        clip_norm: largest norm of the gradient; longer ones are shortened to it.
        ema: decay of the moving average of the weights, per iteration; the average is saved and validated.
        seed: seed of patches, noise and fresh weights; any whole number from 0.
        log_every: iterations from one log record to the next.
        validate_every: iterations from one validation to the next.
        save_every: iterations from one saved state to the next.
        time_limit: save and stop after this many seconds; the schedule then follows whichever of iterations and time
            is further ahead.
    """

    iterations: int = 10_000
    batch_size: int = 16
    accumulate: int = 1
    patch: int = 160
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    warmup: int = 200
    clip_norm: float = 5.0
    ema: float = 0.999
    seed: int = 0
    log_every: int = 100
    validate_every: int = 1000
    save_every: int = 1000
    time_limit: float | None = None

    def __post_init__(self) -> None:
        if min(self.iterations, self.batch_size, self.accumulate, self.patch) < 1:
            raise UsageError("iterations, batch size, accumulated batches and patch must be positive.")
        if min(self.log_every, self.validate_every, self.save_every) < 1 or min(self.warmup, self.seed) < 0:
            raise UsageError("the intervals must be positive, warm-up and seed must not be negative.")
        if self.schedule not in ("cosine", "steps", "constant"):
            raise UsageError(f"the schedule must be cosine, steps or constant, not {self.schedule!r}.")
        if not 0 <= self.ema < 1 or not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError("the decay of a moving average must lie between 0 and 1.")
        if min(self.learning_rate, self.clip_norm) <= 0:
            raise UsageError("the learning rate and the clipping norm must be positive.")
        if self.time_limit is not None and self.time_limit <= 0:
            raise UsageError("the time limit must be positive.")


def parse_memory(text: str) -> int:
    """Bytes in a size such as ``"4G"``, ``"512M"`` or ``"1.5GiB"`` (powers of 1024).

    Raises:
        UsageError: it is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"a memory size looks like 4G or 512M, not {text!r}.")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))
