"""All metrics of a benchmark behind one object; what cannot be computed here is left out with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from srspace.benchmark.protocol import DIVERSITY_NET, Protocol
from srspace.benchmark.records import score_key
from srspace.errors import UsageError
from srspace.metrics import (
    METRICS,
    Dists,
    Diversity,
    Lpips,
    MetricUnavailableError,
    NoReference,
    PieApp,
    lr_psnr,
    perceptual_index,
    psnr,
    ssim,
    to_uint8,
)

LPIPS_NETS = ("vgg", "alex", "squeeze")


def parse_metrics(text: str) -> list[str]:
    """Read a list of metrics, separated by commas; ``all`` stands for every one.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in METRICS and word != "all"]:
        raise UsageError(f"{unknown[0]!r} is no metric; there are {', '.join(METRICS)}.")
    if not words:
        raise UsageError("there is no metric to compute.")
    return [name for name in METRICS if name in words or "all" in words]


class Scorer:
    """Computes the chosen metrics.

    Args:
        metrics: names, without the costs, which are not computed from images.
        lpips_net: backbone of the LPIPS column.
        protocol: what is compared.
        scale: HR is so many times as large as LR.
        device: where to compute.

    Attributes:
        missing: what cannot be computed here, and why, by key.
    """

    def __init__(
        self, metrics: Iterable[str], *, lpips_net: str, protocol: Protocol, scale: int, device: torch.device
    ) -> None:
        if lpips_net not in LPIPS_NETS:
            raise UsageError(f"the LPIPS backbone must be one of {', '.join(LPIPS_NETS)}, not {lpips_net!r}.")
        self.metrics = [m for m in metrics if METRICS[m].kind != "cost"]
        self.lpips_net, self.protocol, self.device = lpips_net, protocol, device
        self.border = protocol.border(scale)
        self.missing: dict[str, str] = {}
        self._models: dict[str, Any] | None = None

    def key_of(self, metric: str) -> str:
        """Under which name a record files the metric."""
        return score_key(metric, self.lpips_net)

    @property
    def keys(self) -> list[str]:
        """Keys that the columns need."""
        return [self.key_of(metric) for metric in self.metrics]

    def load(self) -> None:
        """Load the networks; those that are not to be had are noted in :attr:`missing`. Cheap to call again."""
        if self._models is not None:
            return
        models: dict[str, Any] = {}
        makers: dict[str, Callable[[], Any]] = {
            self.key_of("lpips"): lambda: Lpips(self.lpips_net).to(self.device),  # type: ignore[arg-type]
            "diversity": lambda: Lpips(DIVERSITY_NET).to(self.device),  # type: ignore[arg-type]
            "dists": lambda: Dists().to(self.device),
            "pieapp": lambda: PieApp().to(self.device),
            "niqe": lambda: NoReference("niqe", self.device),
            "ma": lambda: NoReference("ma", self.device),
        }
        needed = set(self.keys) | ({"niqe", "ma"} if "pi" in self.metrics else set())
        for key, make in makers.items():
            if key not in needed:
                continue
            if key == "diversity" and self.lpips_net == DIVERSITY_NET and self.key_of("lpips") in models:
                models[key] = models[self.key_of("lpips")]
                continue
            try:
                models[key] = make()
            except MetricUnavailableError as error:
                self.missing[key] = str(error)
        if "pi" in self.metrics and not {"niqe", "ma"} <= set(models):
            self.missing["pi"] = self.missing.get("niqe") or self.missing["ma"]
        self._models = models

    def available(self) -> set[str]:
        """Keys that can be computed here."""
        self.load()
        return {key for key in self.keys if key not in self.missing}

    def image(self, hr: Tensor, lr: Tensor) -> ImageScorer:
        """A scorer for outputs that belong to one image.

        Args:
            hr: ``(3, H, W)`` uint8.
            lr: ``(3, h, w)`` uint8.
        """
        self.load()
        return ImageScorer(self, self._models or {}, hr, lr)


class ImageScorer:
    """Scores outputs against one reference, whose features are computed once; see :meth:`Scorer.image`."""

    def __init__(self, scorer: Scorer, models: dict[str, Any], hr: Tensor, lr: Tensor) -> None:
        self.scorer, self.models = scorer, models
        self.hr8 = hr.to(scorer.device)[None]
        self.hr = self.hr8.float() / 255
        self.lr = lr.to(scorer.device)[None].float() / 255
        self._features: dict[int, list[Tensor]] = {}

    @torch.no_grad()
    def score(self, sr: Tensor, keys: set[str], diversities: Sequence[Diversity] = ()) -> dict[str, float]:
        """Scores of one output.

        Args:
            sr: ``(3, H, W)`` in [0, 1]; it is rounded to 8 bits first.
            keys: which scores to compute; those not defined for an image as small as this are NaN.
            diversities: get the output's LPIPS map.
        """
        image8 = to_uint8(sr.to(self.scorer.device))[None]
        image = image8.float() / 255
        where = {"y_only": self.scorer.protocol.y_only, "border": self.scorer.border}
        lpips_key = self.scorer.key_of("lpips")
        features: dict[int, list[Tensor]] = {}
        compute: dict[str, Callable[[], Tensor]] = {
            "psnr": lambda: psnr(_exact(image8), _exact(self.hr8), **where),  # type: ignore[arg-type]
            "ssim": lambda: ssim(_exact(image8), _exact(self.hr8), **where),  # type: ignore[arg-type]
            "lr-psnr": lambda: lr_psnr(image, self.lr),
            lpips_key: lambda: self.models[lpips_key].distance(*self._pair(self.models[lpips_key], image, features)),
            "dists": lambda: self.models["dists"](image, self.hr),
            "pieapp": lambda: self.models["pieapp"](image, self.hr),
            "niqe": lambda: self.models["niqe"](image),
            "ma": lambda: self.models["ma"](image),
        }
        wanted = keys | ({"niqe", "ma"} if "pi" in keys else set())
        scores: dict[str, float] = {}
        for key, metric in compute.items():
            if key not in wanted:
                continue
            try:
                scores[key] = metric().item()
            except (ValueError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and not _too_small(error):
                    raise
                scores[key] = math.nan
        if "pi" in keys:
            scores["pi"] = perceptual_index(scores["niqe"], scores["ma"])
        if diversities:
            pair = self._pair(self.models["diversity"], image, features)
            distances = self.models["diversity"].distance_map(*pair, (image.shape[2], image.shape[3]))
            for diversity in diversities:
                diversity.update(distances)
        return {key: value for key, value in scores.items() if key in keys}

    def _pair(
        self, model: Lpips, image: Tensor, features: dict[int, list[Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        if id(model) not in self._features:
            self._features[id(model)] = model.features(self.hr)
        if id(model) not in features:
            features[id(model)] = model.features(image)
        return features[id(model)], self._features[id(model)]


def _exact(image: Tensor) -> Tensor:
    return image.double() / 255


def _too_small(error: RuntimeError) -> bool:
    """Whether torch says that nothing of an image is left after its convolutions and poolings."""
    text = str(error)
    return "too small" in text or "Kernel size can't be greater" in text or "size can't be greater" in text
