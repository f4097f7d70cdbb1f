"""What a benchmark measures, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass

from srspace.benchmark.protocol import PROTOCOLS, Protocol
from srspace.benchmark.rows import Row
from srspace.config import DEFAULT_WEIGHTS, SamplingConfig
from srspace.metrics import LPIPS_NETS, check_backbone


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        rows: methods.
        metrics: columns, by name.
        protocol: rules for the columns.
        lpips_net: backbone of the LPIPS column; the paper's is vgg.
        weights: the flow: catalogue name, folder or ``hf://owner/repo[@revision]``.
        seed: of the candidates.
        device: see :func:`srspace.devices.pick_device`.
        precision: see :func:`srspace.devices.pick_precision`.
        tile: side of a tile in LR pixels; see :class:`srspace.config.SamplingConfig`.

    Raises:
        UsageError: LPIPS has no such backbone, or the seed or the tile is out of range.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    protocol: Protocol = PROTOCOLS["paper"]
    lpips_net: str = LPIPS_NETS[0]
    weights: str = DEFAULT_WEIGHTS
    seed: int = SamplingConfig.seed
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None

    def __post_init__(self) -> None:
        check_backbone(self.lpips_net)
        SamplingConfig(seed=self.seed, tile=self.tile)  # for its checks
