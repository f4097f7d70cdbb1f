from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import srspace
from srspace.data.degrade import Degradation, DegradeConfig, describe, kinds
from srspace.data.degrade.stages import Slots

SHARES = (
    "clean", "halftone", "linear_light", "camera", "two_steps", "sharpen_early", "sharpen", "sharpen_late",
    "noise", "second_noise", "old_photo", "palette", "chroma", "jpeg", "second_jpeg", "webp",
)  # fmt: skip
NOTHING = replace(DegradeConfig(), **dict.fromkeys(SHARES, 0.0), blur_kinds=(1.0,), not_antialiased=0.0, shifted=0.0)


@pytest.fixture(scope="session")
def patches(photographs: Tensor) -> Tensor:
    """``(24, 3, 96, 96)``."""
    tops, lefts = (0, 96, 192), (0, 160, 300)
    cut = [photographs[:, :, top : top + 96, left : left + 96] for top in tops for left in lefts]
    return torch.cat(cut)[:24]


def test_shape_range_and_whole_levels(patches: Tensor):
    lr = Degradation()(patches)
    assert lr.shape == (24, 3, 24, 24) and lr.dtype == torch.float32
    assert lr.min() >= 0 and lr.max() <= 1 and torch.isfinite(lr).all()
    assert torch.equal((lr * 255).round() / 255, lr)
    assert Degradation()(patches[:1, :, :64, :]).shape == (1, 3, 16, 24)
    with pytest.raises(ValueError, match="multiples of 4"):
        Degradation()(patches[..., :90])
    for scale in (2, 8):
        assert Degradation(replace(DegradeConfig(), scale=scale))(patches).shape[-1] == 96 // scale


def test_the_seed_decides(patches: Tensor):
    degrade = Degradation()
    torch.manual_seed(3)
    first = degrade(patches)
    second = degrade(patches)
    torch.manual_seed(3)
    recorded, _ = degrade.recorded(patches)
    assert torch.equal(first, recorded)
    assert not torch.equal(first, second)


def test_clean_images_are_matlabs_bicubic(patches: Tensor):
    reduced = srspace.imresize((patches * 255).round().to(torch.uint8), 0.25).float() / 255
    assert torch.equal(Degradation(replace(DegradeConfig(), clean=1.0))(patches), reduced)
    lr, record = Degradation(replace(DegradeConfig(), clean=0.4)).recorded(patches)
    clean = record.stages["clean"]["applied"]
    assert 0 < clean.sum() < 24
    assert torch.equal(lr[clean], reduced[clean])
    assert all(not torch.equal(a, b) for a, b in zip(lr[~clean], reduced[~clean], strict=True))


def test_jagged_images_meet_nothing_else(patches: Tensor):
    torch.manual_seed(1)
    others = Degradation()(patches)
    torch.manual_seed(1)
    lr, record = Degradation(replace(DegradeConfig(), jagged=0.5, shifted=0.0)).recorded(patches)
    jagged = record.stages["jagged"]
    applied, nearest = jagged["applied"], jagged["applied"] & (jagged["kernel"] == 0)
    assert applied.sum() == 12 and 2 < nearest.sum() < 12 and not jagged["antialias"].any()
    levels = (patches * 255).round() / 255
    assert torch.allclose(lr[nearest], levels[nearest][..., 2::4, 2::4], atol=0.51 / 255)
    assert torch.equal(lr[~applied], others[~applied]), "the others are as they would be without"
    told = [describe(record, index) for index in range(24)]
    assert [len(steps) == 1 and steps[0]["stage"] == "jagged" for steps in told] == applied.tolist()


class _NothingThatWaits(TorchDispatchMode):
    """Refuses what a CUDA graph cannot hold: reading a value, shapes that depend on values, constants from the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split(".")[0]
        assert name not in {
            "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::item", "aten::_unique2",
            "aten::lift_fresh", "aten::lift_fresh_copy", "aten::multinomial", "aten::randperm",
        }, name  # fmt: skip
        if name in ("aten::index", "aten::index_put", "aten::index_put_"):
            assert all(i is None or i.dtype in (torch.int64, torch.int32) for i in args[1]), name
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device(patches: Tensor):
    degrade = Degradation(replace(DegradeConfig(), halftone=0.1, old_photo=0.1, palette=0.1, jagged=0.1))
    degrade(patches)  # makes the constants
    with _NothingThatWaits():
        degrade(patches)


def test_everything_happens_on_the_images_device():
    """The meta device has no values: a value that is read, or a tensor from elsewhere, is an error there."""
    lr, record = Degradation().recorded(torch.empty(8, 3, 64, 96, device="meta"))
    assert lr.shape == (8, 3, 16, 24) and lr.device.type == "meta"
    assert {values.device.type for stage in record.stages.values() for values in stage.values()} == {"meta"}


def test_autocast_does_not_reach_in(patches: Tensor):
    config = replace(NOTHING, blur_kinds=(0.0, 1.0))
    torch.manual_seed(0)
    expected = Degradation(config)(patches)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Degradation(config)(patches), expected)


def test_shares_are_met():
    config = DegradeConfig()
    _, record = Degradation(config).recorded(torch.rand(50, 3, 32, 32))
    for _ in range(20):  # with fractions of an image left to chance
        _, few = Degradation(replace(config, linear_light=0.3, camera=0.3)).recorded(torch.rand(3, 3, 32, 32))
        assert torch.equal(few.stages["camera"]["applied"], few.stages["linear_light"]["applied"])
    counts = {stage: int(values["applied"].sum()) for stage, values in record.stages.items()}
    assert counts["jpeg"] == 31 and counts["webp"] == 7 and counts["noise"] == 25 and counts["two_steps"] == 15
    assert counts["linear_light"] == 10 and counts["reduction"] == 35 and counts["first_step"] == 15
    assert not (record.stages["jpeg"]["applied"] & record.stages["webp"]["applied"]).any()
    assert not (record.stages["two_steps"]["applied"] & record.stages["linear_light"]["applied"]).any()
    assert not (record.stages["camera"]["applied"] & ~record.stages["linear_light"]["applied"]).any()


def test_shares_are_met_in_the_mean_by_single_images():
    one = torch.zeros(1, dtype=torch.int64)
    hits = [bool(Slots.first(one, 0.3).applied.any()) for _ in range(2000)]
    assert 0.26 < sum(hits) / len(hits) < 0.34
    assert len(Slots.first(one, 0.0).index) == 0


@pytest.mark.parametrize("changes", [{}, {"two_steps": 1.0, "compressed_between": 0.0}, {"linear_light": 1.0}])
def test_lr_is_aligned_with_hr(changes: dict[str, float]):
    """The centre of a soft spot lies where MATLAB's reduction puts it, whatever kernels and sizes are drawn."""
    places = torch.arange(128.0)
    spot = torch.exp(-((places[:, None] - 60.3) ** 2 + (places - 70.9) ** 2) / (2 * 12**2))
    hr = (spot * 0.9).expand(24, 3, 128, 128).contiguous()
    # In steps of odd sizes, a box lies off the centre by whole pixels.
    kernels = (0.0 if changes.get("two_steps") else 1.0, 1.0, 1.0, 1.0, 1.0)
    lr = Degradation(replace(NOTHING, kernels=kernels, **changes))(hr)[:, 1]
    steps = torch.arange(32.0)
    mass = lr.sum((1, 2))
    down, right = (lr.sum(2) * steps).sum(1) / mass, (lr.sum(1) * steps).sum(1) / mass
    assert (down - ((60.3 + 0.5) / 4 - 0.5)).abs().max() < 0.03
    assert (right - ((70.9 + 0.5) / 4 - 0.5)).abs().max() < 0.03


def test_two_steps_lose_nothing_at_the_edges():
    """Whatever the intermediate size: soft pictures stay what they were, up to the last row and column."""
    places = torch.linspace(0, 4, 128)
    soft = (0.5 + 0.25 * places.cos()[:, None] + 0.2 * (places + 1).sin()).expand(24, 3, 128, 128).contiguous()
    config = replace(NOTHING, kernels=(0.0, 1.0, 1.0, 1.0, 1.0))
    twice = Degradation(replace(config, two_steps=1.0, intermediate=(0.8, 3.0), halfway=0.3))(soft)
    assert (twice - Degradation(config)(soft)).abs().max() * 255 < 5


def test_linear_light_averages_light():
    stripes = torch.tensor([0.2, 0.8]).repeat(32).expand(2, 3, 64, 64).contiguous()
    config = replace(NOTHING, kernels=(1.0,))
    assert Degradation(config)(stripes).mean() == pytest.approx(0.5, abs=0.01)
    assert Degradation(replace(config, linear_light=1.0))(stripes).mean() == pytest.approx(0.6005, abs=0.004)


def test_no_gradient_is_kept(patches: Tensor):
    assert not Degradation()(patches[:2].clone().requires_grad_()).requires_grad


def test_shifts_are_as_large_as_configured():
    ramp = ((torch.arange(128.0) - 30) / 71).clamp(0, 1).expand(24, 3, 128, 128).contiguous()
    config = replace(NOTHING, shifted=1.0, shift=0.5, kernels=(0.0, 1.0))
    lr, record = Degradation(config).recorded(ramp)
    moved = (lr - Degradation(NOTHING)(ramp))[:, 0, 10:-10, 10:-10].mean((1, 2)) * 71
    assert torch.allclose(moved, record.stages["reduction"]["shift_x"], atol=0.08)
    assert 0.3 < moved.abs().max() <= 0.6


def test_each_stage_can_be_had_alone(patches: Tensor):
    """And changes the images to which it applies."""
    plain = Degradation(replace(NOTHING, kernels=(0.0, 0.0, 1.0)))(patches)
    companions = {"camera": {"linear_light": 1.0}}
    for share in SHARES[1:]:
        config = replace(NOTHING, kernels=(0.0, 0.0, 1.0), **{share: 1.0}, **companions.get(share, {}))
        lr = Degradation(config)(patches)
        different = (lr != plain).flatten(1).any(1)
        assert different.float().mean() > 0.9, share


def test_records_become_json(patches: Tensor):
    _, record = Degradation(replace(DegradeConfig(), clean=0.2)).recorded(patches)
    texts = json.loads(json.dumps([describe(record, i) for i in range(24)]))
    assert any(text == [{"stage": "clean"}] for text in texts)
    for steps in texts:
        names = [step["stage"] for step in steps]
        assert len(set(names)) == len(names)
        assert names == ["clean"] or ("reduction" in names) != ("second_step" in names)
        for step in steps:
            assert step.get("kind") != "none"
            if step["stage"] == "jpeg":
                assert 25 <= step["quality"] <= 97 and step["subsampling"] in ("4:2:0", "4:2:2", "4:4:4")


def test_a_recorded_jpeg_can_be_done_again(patches: Tensor):
    """Parameters in the record are those that were used."""
    torch.manual_seed(5)
    before = Degradation(replace(NOTHING, kernels=(1.0,)))(patches)
    config = replace(NOTHING, kernels=(1.0,), jpeg=1.0)
    lr, record = Degradation(config).recorded(patches)
    parameters = {name: values for name, values in record.stages["jpeg"].items() if name != "applied"}
    assert (kinds()["jpeg"].apply(before, **parameters) - lr).abs().mean() * 255 < 1.0


def test_a_config_that_cannot_be_is_refused():
    for changes in (
        {"clean": 1.2}, {"scale": 3}, {"camera": 0.5}, {"jpeg": 0.9, "webp": 0.2}, {"jpeg_quality": (90.0, 40.0)},
        {"linear_light": 0.6, "two_steps": 0.6}, {"intermediate": (0.5, 2.0)}, {"noise_strength": (-1.0, 5.0)},
        {"kernels": (0.0, 0.0)}, {"noise": -1}, {"blur_kinds": (0.1,) * 7},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            replace(DegradeConfig(), **changes)


def test_a_parameter_that_does_not_exist_is_refused(patches: Tensor):
    with pytest.raises(TypeError, match="strength"):
        kinds()["sharpen"](patches, strength=3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cuda_graph_holds_it(patches: Tensor):
    degrade, hr = Degradation(), patches.cuda()
    degrade(hr)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        lr = degrade(hr)
    graph.replay()
    first = lr.clone()
    graph.replay()
    assert not torch.equal(first, lr)
    assert torch.equal((lr * 255).round() / 255, lr) and lr.min() >= 0 and lr.max() <= 1
