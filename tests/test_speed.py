from __future__ import annotations

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from srspace import speed
from srspace.cli.main import main
from srspace.config import FlowConfig, RRDBConfig
from srspace.models import PreparedSRFlow

CONFIGS = [
    (RRDBConfig(nf=8, gc=4, nb=3), FlowConfig(steps=2, hidden_channels=8, stack_blocks=(0, 2))),
    (RRDBConfig(scale=8, nf=8, gc=4, nb=2), FlowConfig(scale=8, levels=3, steps=1, stack_blocks=(1,))),
]


@pytest.mark.parametrize("configs", CONFIGS)
def test_operations_are_those_that_torch_counts(configs):
    model = speed.random_model(*configs)
    counted = speed.count_operations(*configs, 7, 5)
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
    assert counted.naive == operations(lambda: speed.naive_decode(model, lr, latents))


def test_the_published_network_needs_what_the_issue_counts():
    counted = speed.count_operations(*speed.PUBLISHED, 180, 320)
    assert counted.total(25) == pytest.approx(8.8e12, rel=0.01)
    assert 25 * counted.naive == pytest.approx(54e12, rel=0.01)


def test_a_report_adds_up():
    model = speed.random_model(*CONFIGS[0])
    said: list[str] = []
    report = speed.measure(
        model, name="small", size=(12, 10), samples=3, dtype=torch.float32, naive=True, repeats=1, report=said.append
    )
    values = report.to_dict()
    assert (report.height, report.width) == (48, 40) and report.redraws == 0
    assert values["speedup"] == pytest.approx(report.naive / report.seconds)
    assert values["operations_per_run"] == report.operations.total(3)
    assert values["candidates_per_second"] == pytest.approx(3 / report.seconds)
    assert report.naive_timed == 3 and len(said) == 5
    json.dumps(values)


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]):
    arguments = ["bench", "speed", "--size", "16x12", "-n", "2", "--repeats", "1", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["samples"] == 2 and values["height"] == 64 and values["naive"] is None
    assert main([*arguments, "--against", "naive"]) == 0
    out = capsys.readouterr().out
    assert "candidates/s" in out and "unshared path" in out


@pytest.mark.parametrize("arguments", [["--size", "12"], ["--size", "0x4"], ["--against", "theirs"], ["-n", "0"]])
def test_bad_settings_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "speed", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
