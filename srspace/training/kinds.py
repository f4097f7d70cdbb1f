"""The kinds of training there are, and everything that decides one. No torch here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from srspace.config import AssessorConfig, DialConfig, FlowConfig, FusionConfig, RRDBConfig, TrainConfig
from srspace.errors import UsageError
from srspace.fields import Field, build, fields_of
from srspace.suggestions import did_you_mean
from srspace.training.settings import (
    AssessorTaskConfig,
    DataConfig,
    DialTaskConfig,
    EncoderTaskConfig,
    Execution,
    FlowTaskConfig,
    FusionTaskConfig,
)


@dataclass(frozen=True)
class Kind:
    """A kind of training.

    Attributes:
        name: what users type.
        help: one line.
        task: ``"package.module:Class"`` of its :class:`~srspace.training.task.Task`, loaded on first use; the class
            has a ``build(config, sizes, sources)``.
        config: the task's options.
        sizes: sizes of a fresh network.
        free_sizes: which of them can be chosen.
    """

    name: str
    help: str
    task: str
    config: type
    sizes: type
    free_sizes: tuple[str, ...]

    def groups(self) -> Iterator[tuple[type, dict[str, Field]]]:
        """The configuration classes, each with the fields that can be set; no two share a name."""
        yield self.config, fields_of(self.config)
        sizes = fields_of(self.sizes)
        yield self.sizes, {name: sizes[name] for name in self.free_sizes}
        for shared in (TrainConfig, DataConfig, Execution):
            yield shared, fields_of(shared)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "encoder",
            "Train an RRDB encoder by regression.",
            "srspace.training.encoder:EncoderTask",
            EncoderTaskConfig,
            RRDBConfig,
            ("nb", "nf", "gc", "scale"),
        ),
        Kind(
            "flow",
            "Train a flow by likelihood on an encoder.",
            "srspace.training.flow:FlowTask",
            FlowTaskConfig,
            FlowConfig,
            ("steps", "hidden_channels", "hidden_layers"),
        ),
        Kind(
            "fusion",
            "Train a fusion network on candidates of fixed flows.",
            "srspace.training.fusion:FusionTask",
            FusionTaskConfig,
            FusionConfig,
            ("blocks", "channels", "embedding"),
        ),
        Kind(
            "dial",
            "Train a fusion network with a dial on candidates of a frozen flow.",
            "srspace.training.dial:DialTask",
            DialTaskConfig,
            DialConfig,
            ("blocks", "channels", "embedding"),
        ),
        Kind(
            "assessor",
            "Train the network that tells damaged pictures from clean ones.",
            "srspace.training.assessor:AssessorTask",
            AssessorTaskConfig,
            AssessorConfig,
            ("width",),
        ),
    )
}


@dataclass(frozen=True)
class Training:
    """Everything that decides a training, but for its pictures and its device.

    Attributes:
        kind: which one.
        task: the task's options, of the kind's class.
        sizes: sizes of a fresh network, of the kind's class.
        train: settings of the loop.
        data: what is drawn of the pictures.
        execution: how steps are computed.
    """

    kind: Kind
    task: Any
    sizes: Any
    train: TrainConfig
    data: DataConfig
    execution: Execution

    @classmethod
    def of(cls, kind: str, values: Mapping[str, Any]) -> Training:
        """A training from plain values by the names of the fields; those not given have their defaults.

        Raises:
            UsageError: there is no such kind or field, or a value is not what its field takes.
        """
        if kind not in KINDS:
            raise UsageError(f"a training is one of {', '.join(KINDS)}, not {kind!r}.")
        found, left = KINDS[kind], dict(values)
        built: list[Any] = [
            build(config, {name: left.pop(name) for name in known if name in left}) for config, known in found.groups()
        ]
        if left:
            known = sorted(name for _, fields in found.groups() for name in fields)
            hint = did_you_mean(min(left), known)
            raise UsageError(f"training {kind} has no setting {min(left)}{hint}; there are {', '.join(known)}.")
        return cls(found, *built)

    def values(self) -> dict[str, Any]:
        """The plain values again, all of them; they fit into JSON."""
        parts = (self.task, self.sizes, self.train, self.data, self.execution)
        free = [set(known) for _, known in self.kind.groups()]
        flat = {k: v for part, names in zip(parts, free, strict=True) for k, v in asdict(part).items() if k in names}
        return dict(json.loads(json.dumps(flat)))
