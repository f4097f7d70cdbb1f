from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from srspace.benchmark.operations import count_operations
from srspace.benchmark.synthetic import PUBLISHED, random_model
from srspace.config import FlowConfig, RRDBConfig
from srspace.models import PreparedSRFlow
from srspace.models.enlarged import EnlargedConvolution
from tests.naive import naive_decode

CONFIGS = [
    (RRDBConfig(nf=8, gc=4, nb=3), FlowConfig(steps=2, hidden_channels=8, stack_blocks=(0, 2))),
    (RRDBConfig(scale=8, nf=8, gc=4, nb=2), FlowConfig(scale=8, levels=3, steps=1, stack_blocks=(1,))),
]


@pytest.mark.parametrize("configs", CONFIGS)
def test_operations_are_those_that_torch_counts(configs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(EnlargedConvolution, "pays", lambda device, dtype: False)
    model = random_model(*configs)
    counted = count_operations(*configs, 7, 5)
    lr = torch.rand(1, 3, 7, 5)
    latents = [torch.randn(1, *s) for s in model.flow.latent_shapes(7 * model.scale, 5 * model.scale)]
    prepared = PreparedSRFlow(model)

    def operations(work) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            work()
        return counter.get_total_flops() // 2

    encoder = operations(lambda: prepared.features(lr))
    assert counted.encoder == encoder
    # Folding the injector's shift into the offset takes one small matrix product per step, once per picture.
    folding = sum(4 ** (model.flow.config.levels - 1 - i) * s.matrix.numel() * 35
                  for i, level in enumerate(prepared.decoder.levels) for s in level.steps)  # fmt: skip
    assert counted.shared == operations(lambda: prepared.conditions(prepared.features(lr))) - encoder - folding
    conditions = prepared.conditions(prepared.features(lr))
    assert counted.candidate == operations(lambda: prepared.decode(latents, conditions))
    assert counted.naive == operations(lambda: naive_decode(model, lr, latents))


def test_the_published_network_needs_what_the_issue_counts():
    counted = count_operations(*PUBLISHED, 180, 320)
    assert counted.total(25) == pytest.approx(8.8e12, rel=0.01)
    assert 25 * counted.naive == pytest.approx(54e12, rel=0.01)
