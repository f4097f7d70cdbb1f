"""The multiply-adds that a picture needs, from the shapes of the convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from srspace.config import FlowConfig, RRDBConfig


@dataclass(frozen=True)
class Operations:
    """Multiply-adds of convolutions for one image.

    Maps that are enlarged before a convolution are counted as enlarged; a CPU computes them with less than half of that
    (:mod:`srspace.models.enlarged`).

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
