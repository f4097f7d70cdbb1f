"""What a request can ask for, as query parameters or fields of a form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from srspace import modes
from srspace.batch import BatchSettings
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.fields import fields_of
from srspace.images import writable
from srspace.serve.settings import ServeSettings
from srspace.sizes import MAX_FACTOR, told_size
from srspace.suggestions import did_you_mean


@dataclass(frozen=True)
class Ask:
    """One thing that can be asked for.

    Attributes:
        name: of the parameter.
        parse: from its text to its value; raises ValueError.
        schema: of its value, as OpenAPI has it.
        help: a sentence.
    """

    name: str
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    help: str


def parse_flag(text: str) -> bool:
    """``1``, ``true``, ``yes`` and ``on``, and what stands for the opposite.

    Raises:
        ValueError: it is neither.
    """
    known = dict.fromkeys(("1", "true", "yes", "on", ""), True) | dict.fromkeys(("0", "false", "no", "off"), False)
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def asks() -> dict[str, Ask]:
    """Everything that can be asked for, by name."""
    number, whole, flag, text = ({"type": kind} for kind in ("number", "integer", "boolean", "string"))
    latents = list(fields_of(SamplingConfig)["latents"].choices)
    found = [
        Ask("scale", float, number, f"How many times as large the result is, up to {MAX_FACTOR}; 1 restores."),
        Ask("width", int, whole, "Width of the result, in pixels."),
        Ask("height", int, whole, "Height of the result, in pixels."),
        Ask("fit", str, text, "Box that the result just fits into, such as 800x600."),
        Ask("megapixels", float, number, "Size of the result, in millions of pixels."),
        Ask("linear_light", parse_flag, flag, "Reduce to that size in linear light."),
        Ask("format", str, text | {"enum": list(writable())}, "Format of the result. Default: Accept, or the input's."),
        Ask("mode", str, text, "How candidates become one picture."),
        Ask("samples", int, whole, "Candidates."),
        Ask("tau", float, number, "Temperature of the candidates, from 0 to 2."),
        Ask("seed", int, whole, "Seed of the candidates."),
        Ask("latents", str, text | {"enum": latents}, "How candidates are drawn."),
        Ask("consistency", parse_flag, flag, "Make the bicubic reduction of the result equal the input."),
        Ask("min_lr_psnr", float, number, "Fail where that reduction agrees less with the input, in dB."),
        Ask("strip", parse_flag, flag, "Leave EXIF, XMP, IPTC, texts and dpi out."),
        Ask("strip_gps", parse_flag, flag, "Leave out where the picture was taken."),
        Ask("first_frame", parse_flag, flag, "Of an animation, take the first frame."),
    ]
    for parameter in _parameters().values():
        schema = number | {"minimum": parameter.low, "maximum": parameter.high}
        found.append(Ask(parameter.name, float, schema, parameter.help))
    return {ask.name: ask for ask in found}


def batch_settings(asked: Mapping[str, str], service: ServeSettings) -> BatchSettings:
    """What a request asks for, as a batch takes it.

    Args:
        asked: names and texts.
        service: says which weights and device it is.

    Raises:
        UsageError: something is unknown, is not of its type, or does not go with the rest.
    """
    known = asks()
    told: dict[str, Any] = {}
    for name, text in asked.items():
        if name not in known:
            raise UsageError(f"{name!r} cannot be asked for{did_you_mean(name, known)}.")
        try:
            told[name] = known[name].parse(text)
        except ValueError as error:
            raise UsageError(f"{name} must be of the type {known[name].schema['type']}, not {text[:40]!r}.") from error
    sampling = SamplingConfig(
        temperature=told.pop("tau", SamplingConfig.temperature),
        seed=told.pop("seed", SamplingConfig.seed),
        samples=told.pop("samples", None),
        latents=told.pop("latents", None),
        tile=service.tile,
        max_memory=service.max_memory,
    )
    parameters = {name: told.pop(name) for name in _parameters() if name in told}
    asks_size = ("scale", "width", "height", "fit", "megapixels", "linear_light")
    size = told_size(**{name: told.pop(name) for name in asks_size if name in told})
    return BatchSettings(
        weights=service.weights, device=service.device, precision=service.precision, sampling=sampling, size=size,
        parameters=parameters, **told,
    )  # fmt: skip


def _parameters() -> dict[str, modes.Parameter]:
    return {parameter.name: parameter for mode in modes.every().values() for parameter in mode.parameters}
