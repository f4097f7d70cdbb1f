"""Every option of the trainings, by what it belongs to. No torch here: help texts are made of these classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from srspace.config import DEFAULT_WEIGHTS
from srspace.errors import UsageError

Backbone = Literal["alex", "squeeze", "vgg"]
Regression = Literal["l1", "l2"]


@dataclass(frozen=True)
class Execution:
    """How steps are computed. This changes their speed and, but for rounding, nothing else.

    Attributes:
        amp: on a GPU, run the networks in bfloat16; the flow's affine arithmetic stays in float32.
        compile: fuse kernels with torch.compile, which takes about a minute at the start.
        graph: on a GPU, record each step as a CUDA graph and replay it.
    """

    amp: bool = True
    compile: bool = False
    graph: bool = True


@dataclass(frozen=True)
class DataConfig:
    """What a training draws its patches from.

    Attributes:
        tile: pictures are cut into tiles of this side, in pixels; smaller pictures are left out.
        reductions: also train on the pictures reduced by this factor, below 1; may be repeated.
        reduced_share: share of reduced ones among the photographs of a batch, in [0, 1).
        rendered: also train on this many rendered tiles (text, line art, screens, pixel art).
        rendered_share: share of rendered tiles in a batch, in [0, 1).
        stretched_share: share of photographs with stretched contrast in a batch, in [0, 1).
        degraded_share: share of LR patches with JPEG artifacts or noise, in [0, 1).
        damage: how LR patches are made: none (bicubic reduction) or real (blur, other reductions, noise, sharpening
            and compression, drawn afresh for every patch).
        jagged_share: with real damage, share of patches that are reduced without antialiasing and meet nothing else,
            in [0, 1].
        permuted_share: share of patches with red, green and blue in a random order, in [0, 1].
        blended_share: share of patches blended with another one of the batch (mixup), in [0, 1].
    """

    tile: int = 480
    reductions: tuple[float, ...] = ()
    reduced_share: float = 0.5
    rendered: int = 0
    rendered_share: float = 0.1
    stretched_share: float = 0.0
    degraded_share: float = 0.0
    damage: Literal["none", "real"] = "none"
    jagged_share: float = 0.0
    permuted_share: float = 0.0
    blended_share: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.reduced_share, self.rendered_share, self.stretched_share, self.degraded_share)
        if not all(0 <= share < 1 for share in shares):
            raise UsageError(
                "the shares of reduced, rendered, stretched and degraded pictures must be at least 0 and below 1."
            )
        if not 0 <= self.jagged_share <= 1:
            raise UsageError("the share of patches reduced without antialiasing must lie between 0 and 1.")
        if not (0 <= self.permuted_share <= 1 and 0 <= self.blended_share <= 1):
            raise UsageError("the shares of permuted and of blended patches must lie between 0 and 1.")
        if self.stretched_share + (self.rendered_share if self.rendered else 0) >= 1:
            raise UsageError("rendered and stretched pictures leave no room in a batch for photographs.")
        if not all(0 < factor < 1 for factor in self.reductions):
            raise UsageError("a reduction must lie between 0 and 1.")
        _check_choice("damage", self.damage, ("none", "real"))
        if self.damage != "none" and self.degraded_share:
            raise UsageError("degraded LR patches cannot be combined with real damage.")
        if self.tile < 1 or self.rendered < 0:
            raise UsageError("the side of a tile must be positive, the number of rendered tiles not negative.")


@dataclass(frozen=True)
class EncoderTaskConfig:
    """Training an encoder by regression.

    Attributes:
        start: weights to start from; their sizes win over the options for a fresh encoder.
        loss: distance to the original: l1, or l2 (what PSNR measures) to end a training with.
        teacher: weights whose encoder, over all flips and rotations, gives a second target.
        teacher_weight: weight of the distance to that target.
    """

    start: str | None = None
    loss: Regression = "l1"
    teacher: str | None = None
    teacher_weight: float = 1.0

    def __post_init__(self) -> None:
        _check_choice("regression loss", self.loss, ("l1", "l2"))
        _check_weights(self.teacher_weight)


@dataclass(frozen=True)
class FlowTaskConfig:
    """Training a flow by likelihood and, once it has been trained, by what its candidates look like.

    Attributes:
        start: flow weights to start from; without them, a fresh flow.
        encoder: weights whose encoder the flow is built on; without them, those that it starts from, or the default
            ones.
        noise: standard deviation of the Gaussian noise added to HR patches, on the 0..255 scale.
        train_encoder: train the encoder as well.
        head_weight: weight of the error of the encoder's own output, while the encoder is trained as well.
        head_loss: measure of that error.
        encoder_rate: factor on the encoder's learning rate.
        perceptual_weight: weight of the LPIPS of candidates, beside the likelihood; for a flow that is already trained.
        mean_weight: weight of the squared error of the candidates' mean, which would suffer under LPIPS alone.
        lpips_nets: backbone of LPIPS; may be repeated, and the distances are averaged.
        temperatures: temperature of the candidates; may be repeated, and each patch uses one at random.
    """

    start: str | None = None
    encoder: str | None = None
    noise: float = 4 / math.sqrt(3)
    train_encoder: bool = False
    head_weight: float = 0.0
    head_loss: Regression = "l1"
    encoder_rate: float = 0.25
    perceptual_weight: float = 0.0
    mean_weight: float = 0.0
    lpips_nets: tuple[Backbone, ...] = ("alex", "squeeze")
    temperatures: tuple[float, ...] = (0.9,)

    def __post_init__(self) -> None:
        _check_choice("regression loss", self.head_loss, ("l1", "l2"))
        _check_backbones(self.lpips_nets)
        _check_weights(self.head_weight, self.perceptual_weight, self.mean_weight)
        _check_temperatures(self.temperatures)
        if min(self.noise, self.encoder_rate) < 0:
            raise UsageError("the noise and the encoder's rate cannot be negative.")
        if self.mean_weight and not self.perceptual_weight:
            raise UsageError("a mean weight goes with a perceptual weight.")
        if self.perceptual_weight and self.start is None:
            raise UsageError("LPIPS of candidates is for a trained flow, but none is named to start from.")


@dataclass(frozen=True)
class FusionTaskConfig:
    """Training a fusion network on candidates of fixed flows.

    Attributes:
        weights: flow whose candidates are merged; may be repeated, and each then draws from the folder of pictures in
            the same place, which it was not trained on.
        start: fusion weights to start from; their sizes win over the options for a fresh network.
        kind: kind of network: set (any number of candidates, in any order) or stack (the paper's: a fixed number).
        loss: distance to the original: l1 (fidelity) or lpips (natural looks).
        pixel_weight: weight of an L1 term beside LPIPS.
        lpips_nets: backbone of LPIPS; may be repeated, and the distances are averaged.
        judge: a further backbone for the validation figures.
        samples: candidates in a stack, or their usual number.
        temperatures: temperature of the candidates; may be repeated, and each patch uses one at random.
        patches: patches sampled before training starts.
        refresh: patches replaced by fresh ones every 10 iterations.
    """

    weights: tuple[str, ...] = (DEFAULT_WEIGHTS,)
    start: str | None = None
    kind: Literal["set", "stack"] = "set"
    loss: Literal["l1", "lpips"] = "l1"
    pixel_weight: float = 0.0
    lpips_nets: tuple[Backbone, ...] = ("alex", "squeeze")
    judge: Backbone | None = None
    samples: int = 10
    temperatures: tuple[float, ...] = (0.9,)
    patches: int = 1024
    refresh: int = 16

    def __post_init__(self) -> None:
        _check_choice("loss", self.loss, ("l1", "lpips"))
        _check_choice("kind", self.kind, ("set", "stack"))
        _check_backbones(self.lpips_nets)
        if self.judge is not None:
            _check_backbones((self.judge,))
        _check_weights(self.pixel_weight)
        _check_temperatures(self.temperatures)
        if not self.weights:
            raise UsageError("no flow is named whose candidates are to be merged.")
        if min(self.samples, self.patches) < 1:
            raise UsageError("the numbers of candidates and of patches must be positive.")
        if not 0 <= self.refresh <= self.patches:
            raise UsageError(f"between 0 and all {self.patches} patches can be replaced at a time, not {self.refresh}.")


@dataclass(frozen=True)
class DialTaskConfig:
    """Training a fusion network with a dial on candidates of a frozen flow.

    Attributes:
        weights: flow whose candidates are merged.
        encoder: weights whose encoder takes the place of the flow's own.
        start: weights of a network with a dial to start from; their sizes win over the options for a fresh network.
        samples: the largest number of candidates; each image has a random number of them.
        temperatures: temperature of the candidates; may be repeated, and each image uses one at random.
        pixel_weight: weight of the pixels' differences beside LPIPS at balance 1.
        pixel_ratio: factor on that weight at balance 0; in between, it changes evenly on a logarithmic scale.
        square_weight: weight of squared differences beside absolute ones.
        coarse_share: share of the pixels' weight at balance 1 that goes to images at half the size, whose details the
            input tells more of; in [0, 1], growing evenly with the balance.
        natural_share: share of the images with balance 1, in [0, 1]; others have any balance.
        faithful_share: share of the images with balance 0.
        lpips_nets: backbone of LPIPS; may be repeated, and the distances are averaged.
    """

    weights: str = DEFAULT_WEIGHTS
    encoder: str | None = None
    start: str | None = None
    samples: int = 4
    temperatures: tuple[float, ...] = (0.8, 0.9, 1.0)
    pixel_weight: float = 0.3
    pixel_ratio: float = 1500.0
    square_weight: float = 6.0
    coarse_share: float = 0.0
    natural_share: float = 0.3
    faithful_share: float = 0.1
    lpips_nets: tuple[Backbone, ...] = ("alex", "squeeze")

    def __post_init__(self) -> None:
        _check_backbones(self.lpips_nets)
        _check_weights(self.pixel_weight, self.square_weight)
        _check_temperatures(self.temperatures)
        if self.samples < 1 or self.pixel_ratio <= 0:
            raise UsageError("the number of candidates and the ratio of the pixels' weights must be positive.")
        if not 0 <= self.coarse_share <= 1:
            raise UsageError("the share of differences at half the size must lie between 0 and 1.")
        if min(self.natural_share, self.faithful_share) < 0 or self.natural_share + self.faithful_share > 1:
            raise UsageError("the shares of the two ends of the dial, and their sum, must lie between 0 and 1.")


@dataclass(frozen=True)
class AssessorTaskConfig:
    """Training the network that assesses pictures.

    Attributes:
        start: weights of such a network to go on from; their sizes win over the options for a fresh one.
        examples: LR images to learn from; they are made before training starts.
        clean_share: share of the images that are left clean, in [0, 1].
        weak_share: share that is damaged weakly; the others are damaged like pictures from the web.
        grey_share: share of all images that lose their colours.
        side_weight: weight of naming the damage beside choosing the family.
    """

    start: str | None = None
    examples: int = 6144
    clean_share: float = 0.3
    weak_share: float = 0.4
    grey_share: float = 0.1
    side_weight: float = 0.3

    def __post_init__(self) -> None:
        _check_weights(self.side_weight)
        if self.examples < 2:
            raise UsageError(f"at least 2 examples are needed, not {self.examples}.")
        if min(self.clean_share, self.weak_share) < 0 or self.clean_share + self.weak_share > 1:
            raise UsageError(
                "the shares of clean and weakly damaged images must lie between 0 and 1, together as well."
            )
        if not 0 <= self.grey_share <= 1:
            raise UsageError("the share of grey images must lie between 0 and 1.")


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"the {what} must be {' or '.join(choices)}, not {value!r}.")


def _check_backbones(nets: tuple[str, ...]) -> None:
    if not nets:
        raise UsageError("LPIPS needs at least one backbone.")
    for net in nets:
        _check_choice("backbone of LPIPS", net, ("alex", "squeeze", "vgg"))


def _check_weights(*weights: float) -> None:
    if min(weights) < 0:
        raise UsageError("the weight of a loss cannot be negative.")


def _check_temperatures(temperatures: tuple[float, ...]) -> None:
    if not temperatures or not all(0 <= tau <= 2 for tau in temperatures):
        raise UsageError("a temperature must lie between 0 and 2.")
