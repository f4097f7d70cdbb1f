"""A record of damage in words and numbers, for manifests."""

from __future__ import annotations

from srspace.data.degrade import blocks, blur, jpeg, noise, reduction
from srspace.data.degrade.stages import Record

_NAMES = {
    "kernel": reduction.KERNELS,
    "kind": blur.KINDS,
    "colour": noise.COLOURS,
    "subsampling": jpeg.SUBSAMPLINGS,
    "upsampling": blocks.UPSAMPLINGS,
}


def describe(record: Record, index: int) -> list[dict[str, str | float | bool]]:
    """What one image of the batch has met, in order.

    Args:
        record: of :meth:`srspace.data.degrade.Degradation.recorded`.
        index: the image's place in the batch.

    Returns:
        A stage each: its name as ``"stage"``, and its parameters, ready for JSON.
    """
    stages = record.stages
    # What these make of an image replaces all that came before.
    for last in ("clean", "jagged"):
        if last in record.stages and bool(record.stages[last]["applied"][index]):
            stages = {last: record.stages[last]}
    steps: list[dict[str, str | float | bool]] = []
    for stage, parameters in stages.items():
        if not bool(parameters["applied"][index]):
            continue
        step: dict[str, str | float | bool] = {"stage": stage}
        for name, values in parameters.items():
            value = values[index].item()
            if name in _NAMES:
                step[name] = _NAMES[name][int(value)]
            elif name != "applied":
                step[name] = round(value, 4) if isinstance(value, float) else value
        if step.get("kind") != "none":
            steps.append(step)
    return steps
