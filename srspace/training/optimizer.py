"""From a loss to changed weights: gradients in one buffer, averaged over processes, clipped, taken by Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from srspace.config import TrainConfig
from srspace.training.processes import add_up


class Optimizer:
    """Adam (Kingma and Ba, 2015, arXiv 1412.6980) over the parameters that require gradients.

    Gradients are added up in one flat buffer: several batches can share an update, and processes exchange a single
    tensor. An update whose gradient is not finite is skipped, and counted, so that one bad batch does not poison the
    weights. :meth:`add_gradient` and :meth:`update` never wait for the device and can be recorded as CUDA graphs;
    :meth:`exchange` belongs between the two.

    Args:
        network: on its device.
        config: betas and clipping norm apply.
        rates: factors on the learning rate by name prefix; the first that fits counts.

    Raises:
        ValueError: no parameter requires gradients.
    """

    def __init__(self, network: nn.Module, config: TrainConfig, rates: Mapping[str, float]) -> None:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError("the network has no parameters to train")
        self.parameters = [p for _, p in named]
        self.device = self.parameters[0].device
        self.clip_norm = config.clip_norm
        self.gradient = torch.zeros(sum(p.numel() for p in self.parameters), device=self.device)
        self._gradients = _views(self.gradient, self.parameters)
        on_gpu = self.device.type == "cuda"
        self._adam = torch.optim.Adam(_groups(named, rates), betas=config.betas, fused=True, capturable=on_gpu)
        for group in self._adam.param_groups:
            group["lr"] = torch.zeros((), device=self.device) if on_gpu else 0.0
        self._bad = torch.zeros((), device=self.device)
        self._adam.found_inf = self._bad  # type: ignore[attr-defined]
        self.skipped = torch.zeros((), device=self.device)
        """How many updates were skipped, on the device."""

    def set_learning_rate(self, value: float) -> None:
        """Set Adam's step size; the groups' factors apply."""
        for group in self._adam.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value * group["factor"])
            else:
                group["lr"] = value * group["factor"]

    def clear(self) -> None:
        """Forget the gradient, before the first batch of an update."""
        self.gradient.zero_()

    def add_gradient(self, loss: Tensor) -> None:
        """Add the gradient of a batch's loss."""
        for p in self.parameters:
            p.grad = None
        loss.backward()
        pairs = [(view, p.grad) for view, p in zip(self._gradients, self.parameters, strict=True) if p.grad is not None]
        torch._foreach_add_([view for view, _ in pairs], [gradient for _, gradient in pairs])
        for p in self.parameters:
            p.grad = None

    def exchange(self) -> None:
        """Add up the gradients of all processes."""
        add_up(self.gradient)

    def update(self, batches: int = 1) -> Tensor:
        """Change the weights; returns the norm of the gradient before it was clipped.

        Args:
            batches: over how many batches the gradient was added up, in all processes together.
        """
        self.gradient.div_(batches)
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        self.gradient.mul_((self.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        # The fused kernel leaves weights and moments alone where this is 1.
        self._bad.copy_(~torch.isfinite(norm))
        self.skipped.add_(self._bad)
        for p, gradient in zip(self.parameters, self._gradients, strict=True):
            p.grad = gradient
        self._adam.step()
        for p in self.parameters:
            p.grad = None
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Adam's moments and counters."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over; learning rates stay as they are."""
        kept = [(group["lr"], group["factor"]) for group in self._adam.param_groups]
        self._adam.load_state_dict(state)
        for group, (rate, factor) in zip(self._adam.param_groups, kept, strict=True):
            group["lr"], group["factor"] = rate, factor


def _groups(named: list[tuple[str, nn.Parameter]], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters in groups of one factor each, in the network's order within a group."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        factor = next((f for prefix, f in rates.items() if name.startswith(prefix)), 1.0)
        groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _views(flat: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Parts of ``flat`` with the parameters' sizes and strides: the fused kernel takes no others as gradients."""
    views, offset = [], 0
    for p in parameters:
        views.append(flat.as_strided(p.shape, p.stride(), offset))
        offset += p.numel()
    return views
