"""Steps must be fit for CUDA graphs; without a GPU, by the operations that would wait for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from srspace.config import FusionConfig
from srspace.data.augment import Blended, Degraded, Permuted, Reduced, Stretched, augmented
from srspace.data.degrade import Degradation
from srspace.data.pools import Batches, PatchPool
from srspace.models import SetFusionNet
from srspace.training.averaging import WeightAverage
from srspace.training.candidate_pool import CandidateDrawing, FlowPictures
from srspace.training.candidates import CandidateSource
from srspace.training.encoder import EncoderTask
from srspace.training.flow import FlowTask
from srspace.training.fusion import FusionTask
from srspace.training.optimizer import Optimizer
from srspace.training.settings import EncoderTaskConfig, FlowTaskConfig, FusionTaskConfig
from srspace.training.task import Task
from tests.networks import small_flow
from tests.training.conftest import SHORT, picture_flow
from tests.waiting import NoWaiting


class Capturable(NoWaiting):
    """Fails, too, where a mask says how many values there are, or where a number is copied from the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        by_mask = any(i is not None and i.dtype == torch.bool for i in indices)
        if by_mask or name == "lift_fresh":  # torch.tensor(...)
            raise AssertionError(f"{name} waits for the device or the host")
        return super().__torch_dispatch__(func, types, args, kwargs)


def encoder_task(pool: PatchPool, critics: Any) -> Task:
    wide = augmented(pool, [Reduced((0.6,)), Stretched(0.2), Degraded(0.3), Permuted(0.5), Blended(0.5)])
    config = EncoderTaskConfig(teacher="named")
    return EncoderTask(
        small_flow().encoder.to(pool.device),
        Batches(wide, 5, 32),
        config,
        teacher=small_flow(seed=1).encoder.to(pool.device),
    )


def flow_task(pool: PatchPool, critics: Any) -> Task:
    config = FlowTaskConfig("named", train_encoder=True, head_weight=1.0, perceptual_weight=1.0, mean_weight=1.0)
    return FlowTask(picture_flow().to(pool.device), Batches(pool, 2, 64), config, critics=critics)


def fusion_task(pool: PatchPool, critics: Any) -> Task:
    network = SetFusionNet(FusionConfig(samples=None, channels=8, blocks=1, embedding=4))
    drawing = CandidateDrawing((FlowPictures(CandidateSource(small_flow().to(pool.device)), pool),), 3, 64)
    return FusionTask(
        network.to(pool.device), drawing, 2, FusionTaskConfig(loss="lpips", pixel_weight=0.5, patches=2, refresh=1)
    )


@pytest.mark.parametrize("make", [encoder_task, flow_task, fusion_task])
def test_a_step_never_waits_for_the_device(make: Any, pool: PatchPool, critics: Any):
    task = make(pool, critics)
    optimizer = Optimizer(task.network, SHORT, task.rates)
    average = WeightAverage(optimizer.parameters, 0.9)
    task.start(resumed=False)
    task.prepare(0)
    with Capturable():
        batch = task.batch()
        with torch.autocast("cpu", torch.bfloat16):
            loss = task.loss(*batch)
        optimizer.add_gradient(loss)
    optimizer.exchange()
    with Capturable():
        optimizer.update()
        average.update()


def test_damage_and_candidates_can_be_part_of_a_batch(pool: PatchPool):
    source = CandidateSource(small_flow())
    damaged = replace(augmented(pool, [Blended(0.5)]), damage=Degradation())
    damaged.draw(4, 32)  # constants are made
    with Capturable():
        source.draw(damaged.draw(4, 32)[1], 2, (0.8, 0.9), antithetic=True)


def test_the_check_itself_works():
    with pytest.raises(AssertionError, match="waits"), Capturable():
        torch.ones(3)[torch.ones(3) > 0]
    with pytest.raises(AssertionError, match="waits"), Capturable():
        torch.ones(()).item()
    with pytest.raises(AssertionError, match="waits"), Capturable():
        torch.tensor(1.0)
