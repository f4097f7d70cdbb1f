"""What a score depends on, and the fingerprint of that: the key under which a score is kept and found again."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import torch

from srspace import __version__
from srspace.benchmark.records import fingerprint
from srspace.benchmark.rows import BICUBIC, EXTERNAL, INDEPENDENT, Row
from srspace.benchmark.settings import Settings
from srspace.checkpoints import CONFIG_FILE, MODEL_FILE
from srspace.data.pairs import Pair
from srspace.errors import DataError, UsageError, WeightsError
from srspace.hub import find_fusion, resolve_weights, sha256
from srspace.sampling import draw_latents


class Identities:
    """Identities of rows on images. Files are hashed once; no network is loaded.

    Args:
        settings: of the benchmark.
        scale: HR is so many times as large as LR.
        device: where our networks run.
        dtype: of their subnets' arithmetic.
    """

    def __init__(self, settings: Settings, *, scale: int, device: torch.device, dtype: torch.dtype) -> None:
        self.settings, self.scale, self.device = settings, scale, device
        self.precision = str(dtype).removeprefix("torch.")
        self._images: dict[Pair, tuple[str, str | None]] = {}

    def of(self, pair: Pair, row: Row) -> tuple[str, dict[str, Any]]:
        """The fingerprint of everything that the row's scores on the image depend on, and that itself.

        Raises:
            DataError: an image cannot be read.
            UsageError: a model file does not exist.
            WeightsError: weights are missing.
        """
        hr, lr = self._image_checksums(pair)
        return self.describe(row, hr=hr, lr=lr or f"MATLAB bicubic, 1/{self.scale}")

    def describe(self, row: Row, *, hr: str, lr: str) -> tuple[str, dict[str, Any]]:
        """:meth:`of` given the checksums of the images, or what stands for them."""
        protocol, mode = self.settings.protocol, row.mode
        identity: dict[str, Any] = {
            "schema": 1,
            "srspace": __version__,
            "hr": hr,
            "lr": lr,
            "scale": self.scale,
            "kind": row.kind,
            "protocol": {"y_only": protocol.y_only, "border": protocol.border(self.scale), "rounded": "uint8"},
            "device": self.device.type,
        }
        if row.kind != BICUBIC:
            identity["weights"] = self._weights(row)
        if mode is not None:
            identity["precision"] = self.precision
        if row.parameters:
            identity["parameters"] = dict(row.parameters)
        if row.sampled:
            identity |= {"n": row.samples, "tau": row.temperature, "seed": self.settings.seed}
            identity["stream"] = self._stream
        if row.latents != INDEPENDENT:
            identity["latents"] = row.latents
        return fingerprint(identity), identity

    def _weights(self, row: Row) -> dict[str, str]:
        if row.kind == EXTERNAL:
            return {"file": self._checksums[row.name]}
        if row.mode is None:
            return {}
        wanted = ["flow", row.mode.network] if row.mode.network else ["flow"]
        return {name: self._checksums[name] for name in wanted}

    @cached_property
    def _checksums(self) -> dict[str, str]:
        """Checksums of the weights by what they serve."""
        modes = [mode for row in self.settings.rows if (mode := row.mode) is not None]
        folders = {"flow": resolve_weights(self.settings.weights)} if modes else {}
        for network in sorted({mode.network for mode in modes if mode.network}):
            folders[network] = resolve_weights(find_fusion(self.settings.weights, network).name)
        sums = {}
        for name, folder in folders.items():
            files = [folder / MODEL_FILE, folder / CONFIG_FILE]
            if missing := [path for path in files if not path.is_file()]:
                raise WeightsError(f"{folder} is not a model folder: {missing[0].name} is missing.")
            sums[name] = ":".join(sha256(path)[:32] for path in files)
        for row in self.settings.rows:
            if row.path is not None:
                if not row.path.is_file():
                    raise UsageError(f"{row.path} does not exist.")
                sums[row.name] = sha256(row.path)
        return sums

    @cached_property
    def _stream(self) -> str:
        """A fingerprint of what the seed stands for, so that scores of another random stream are not mixed in."""
        (latents,) = draw_latents([(2, 8, 8)], seed=self.settings.seed, index=1, temperature=1.0)
        return hashlib.blake2b(latents.numpy().tobytes(), digest_size=6).hexdigest()

    def _image_checksums(self, pair: Pair) -> tuple[str, str | None]:
        if pair not in self._images:
            try:
                self._images[pair] = sha256(pair.hr), sha256(pair.lr) if pair.lr is not None else None
            except OSError as error:
                raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return self._images[pair]
