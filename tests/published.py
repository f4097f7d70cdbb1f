"""The published network, written a second time straight from its description, for checking conversions.

Functional, over a state dict with published keys, and independent of ``srspace.models``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def conv(state: State, key: str, x: Tensor) -> Tensor:
    return F.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], padding=1)


def encoder(state: State, lr: Tensor, nb: int, scale: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """SR head, outputs of the trunk's blocks, and maps from LR size upwards."""

    def dense(key: str, v: Tensor) -> Tensor:
        maps = [v]
        for i in range(1, 5):
            maps.append(F.leaky_relu(conv(state, f"{key}.conv{i}", torch.cat(maps, 1)), 0.2))
        return v + 0.2 * conv(state, f"{key}.conv5", torch.cat(maps, 1))

    x, blocks = conv(state, "RRDB.conv_first", lr), []
    for i in range(nb):
        y = x
        for j in (1, 2, 3):
            y = dense(f"RRDB.RRDB_trunk.{i}.RDB{j}", y)
        x = x + 0.2 * y
        blocks.append(x)
    maps = [x + conv(state, "RRDB.trunk_conv", x)]
    for i in range(1, int(math.log2(scale)) + 1):
        doubled = maps[-1].repeat_interleave(2, 2).repeat_interleave(2, 3)
        maps.append(F.leaky_relu(conv(state, f"RRDB.upconv{i}", doubled), 0.2))
    head = conv(state, "RRDB.conv_last", F.leaky_relu(conv(state, "RRDB.HRconv", maps[-1]), 0.2))
    return head, blocks, maps


def encode(
    state: State, hr: Tensor, lr: Tensor, *, nb: int, scale: int, steps: int, blocks: list[int], hidden_layers: int = 4
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Latents, nll in bits per HR pixel, and the encoder's SR head."""
    head, outputs, maps = encoder(state, lr, nb, scale)
    stacked = torch.cat([outputs[i] for i in blocks], 1)
    levels = int(math.log2(scale))
    likelihood = torch.zeros(hr.shape[0])
    z, latents, n = hr, [], 0

    def subnet(key: str, v: Tensor) -> tuple[Tensor, Tensor]:
        for i in range(0, 2 * hidden_layers + 2, 2):
            v = F.relu(conv(state, f"{key}.{i}", v))
        last = 2 * hidden_layers + 2
        v = conv(state, f"{key}.{last}", v) * torch.exp(3 * state[f"{key}.{last}.logs"])
        return v[:, 0::2], torch.sigmoid(v[:, 1::2] + 2) + 1e-4

    for level in range(1, levels + 1):
        b, c, h, w = z.shape
        z = z.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)
        h, w = h // 2, w // 2
        cond = torch.cat((maps[levels - level], F.interpolate(stacked, size=(h, w), mode="nearest")), 1)
        n += 1
        for step in range(2 + steps):
            key = f"flowUpsamplerNet.layers.{n}"
            z = (z + state[f"{key}.actnorm.bias"]) * torch.exp(state[f"{key}.actnorm.logs"])
            likelihood = likelihood + state[f"{key}.actnorm.logs"].sum() * h * w
            matrix = state[f"{key}.invconv.weight"]
            z = torch.einsum("ij,bjhw->bihw", matrix, z)
            likelihood = likelihood + torch.linalg.slogdet(matrix)[1] * h * w
            if step >= 2:
                shift, scaling = subnet(f"{key}.affine.fFeatures", cond)
                z = (z + shift) * scaling
                likelihood = likelihood + scaling.log().flatten(1).sum(1)
                half = z.shape[1] // 2
                shift, scaling = subnet(f"{key}.affine.fAffine", torch.cat((z[:, :half], cond), 1))
                z = torch.cat((z[:, :half], (z[:, half:] + shift) * scaling), 1)
                likelihood = likelihood + scaling.log().flatten(1).sum(1)
            n += 1
        if level < levels:
            key = f"flowUpsamplerNet.layers.{n}.conv"
            half = z.shape[1] // 2
            v = conv(state, key, z[:, :half]) * torch.exp(3 * state[f"{key}.logs"])
            mean, logs = v[:, 0::2], v[:, 1::2]
            normal = torch.distributions.Normal(mean, logs.exp())
            likelihood = likelihood + normal.log_prob(z[:, half:]).flatten(1).sum(1)
            latents.append((z[:, half:] - mean) / logs.exp())
            z = z[:, :half]
            n += 1
    likelihood = likelihood + torch.distributions.Normal(0, 1).log_prob(z).flatten(1).sum(1)
    return [*latents, z], -likelihood / (math.log(2) * hr.shape[2] * hr.shape[3]), head


def random_state(
    *,
    nf: int,
    gc: int,
    nb: int,
    scale: int,
    steps: int,
    hidden: int,
    stacked: int,
    hidden_layers: int = 4,
    seed: int = 0,
) -> State:
    """A state dict with published keys and shapes, small random values, and the unused layer of real files."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}

    def normal(*shape: int, std: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=generator) * std

    def add(key: str, n_in: int, n_out: int, *, logs: bool = False) -> None:
        state[f"{key}.weight"] = normal(n_out, n_in, 3, 3, std=(0.02 if logs else 1) / math.sqrt(9 * n_in))
        state[f"{key}.bias"] = normal(n_out, std=0.05)
        if logs:
            state[f"{key}.logs"] = normal(n_out, 1, 1, std=0.05)

    add("RRDB.conv_first", 3, nf)
    for i in range(nb):
        for j in (1, 2, 3):
            for k in range(5):
                add(f"RRDB.RRDB_trunk.{i}.RDB{j}.conv{k + 1}", nf + k * gc, gc if k < 4 else nf)
    levels = int(math.log2(scale))
    for name in ("trunk_conv", *(f"upconv{i + 1}" for i in range(levels)), "HRconv"):
        add(f"RRDB.{name}", nf, nf)
    add("RRDB.conv_last", nf, 3)
    n, channels, cond = 0, 3, nf * (1 + stacked)
    for level in range(levels):
        channels *= 4
        n += 1
        for step in range(2 + steps):
            key = f"flowUpsamplerNet.layers.{n}"
            state[f"{key}.actnorm.bias"] = normal(1, channels, 1, 1, std=0.1)
            state[f"{key}.actnorm.logs"] = normal(1, channels, 1, 1, std=0.1)
            state[f"{key}.invconv.weight"] = torch.linalg.qr(normal(channels, channels))[0]
            if step >= 2:
                half = channels // 2
                for subnet, n_in, n_out in (("fFeatures", cond, 2 * channels), ("fAffine", half + cond, 2 * half)):
                    for i in range(hidden_layers + 1):
                        add(f"{key}.affine.{subnet}.{2 * i}", n_in if i == 0 else hidden, hidden)
                    add(f"{key}.affine.{subnet}.{2 * hidden_layers + 2}", hidden, n_out, logs=True)
            n += 1
        if level < levels - 1:
            add(f"flowUpsamplerNet.layers.{n}.conv", channels // 2, channels, logs=True)
            channels //= 2
            n += 1
    add("flowUpsamplerNet.f.0", cond, 96)
    return state
