"""What a run works with: weights that are loaded once, and the stages that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from srspace import modes
from srspace.batch.deciding import Chosen, Decision, Named, checksums
from srspace.batch.engine import Computer, Reader, Writer
from srspace.batch.outcome import Made
from srspace.batch.pipeline import Flow, Pipeline, Progress, Run, Stages
from srspace.batch.plan import DecidedPlan, Job, PartOfPlan, Plan
from srspace.batch.processes import ProcessFlow, devices_for
from srspace.batch.records import Recorded, Records, fingerprint
from srspace.batch.remote import RemoteFlow, RemotePlan
from srspace.batch.settings import BatchSettings
from srspace.batch.sizing import SizedUpscaler
from srspace.config import AUTO_WEIGHTS
from srspace.families import CLEAN, available, serving
from srspace.hub import (
    FILES,
    base_flow,
    check_served,
    choose_fusion,
    is_model_file,
    usual_mode,
    weights_scale,
)

if TYPE_CHECKING:
    import torch

    from srspace.auto import AutoUpscaler
    from srspace.upscaler import Upscaler


class Workshop:
    """Runs batches with the same settings; the weights are loaded for the first of them.

    Args:
        settings: as the user gave them.

    Attributes:
        settings: with the mode and the weights that they come to.
        scale: the upscaling factor.

    Raises:
        UsageError: settings do not go together.
        WeightsError: weights are not known.
    """

    def __init__(self, settings: BatchSettings) -> None:
        if settings.weights == AUTO_WEIGHTS and settings.fusion is not None:
            settings = replace(settings, weights=base_flow(settings.fusion))  # a network belongs to one flow
        if settings.weights == AUTO_WEIGHTS and len(available()) == 1:
            settings = replace(settings, weights=available()[0].weights)  # nothing to choose, and nothing to tell
        self._chosen = settings.weights == AUTO_WEIGHTS
        self._external: list[Upscaler] = []  # only its file tells the scale
        if settings.mode is None:
            mode = usual_mode(CLEAN.weights if self._chosen else settings.weights, settings.fusion)
        else:
            mode = modes.find(settings.mode)
        check_served(settings.weights, mode)
        settings = replace(settings, mode=mode)
        if self._chosen:
            self._families = serving(mode)
            self.scale = weights_scale(next(iter(self._families)))
        elif is_model_file(settings.weights):
            self._external = self._upscalers(settings)
            self.scale, self._families = self._external[0].scale, {settings.weights: None}
        else:
            self.scale = weights_scale(settings.weights)
            fusion = None if mode.network is None else choose_fusion(settings.weights, mode.network, settings.fusion)
            self._families = {settings.weights: fusion}
        self.settings = settings.for_scale(self.scale)
        self._loaded: Loaded | None = None

    def run(
        self,
        plan: Plan | RemotePlan,
        progress: Callable[[Progress], None] | None = None,
        records: Records | None = None,
    ) -> Run:
        """Carry out a plan.

        Args:
            plan: what to do.
            progress: as of :class:`srspace.batch.pipeline.Run`.
            records: take records of several runs, and stay open (None: those that the settings name).

        Raises:
            UsageError: the settings do not go together.
            WeightsError: weights are missing, cannot be fetched or fail their checksum.
            CheckpointError: weights are damaged or of the wrong kind.
            ResourceError: the device is not there.
            OutputError: the file of records cannot be read or written, or another run uses it.
        """
        settings = self.settings
        own = records is None and settings.records is not None
        if records is None and settings.records is not None:
            records = Records(settings.records, resume=settings.resume)
        flow: Flow
        try:
            if settings.engine == "ray":
                from srspace.batch.ray_engine import RayFlow

                flow = RayFlow(self, plan, progress, records)
            elif isinstance(plan, RemotePlan):
                flow = RemoteFlow(self, plan, progress, records)
            elif devices := devices_for(settings, plan):
                flow = ProcessFlow(self, plan, devices, progress, records)
            else:
                flow = self._pipeline(plan, progress, records)
        except BaseException:
            if own and records is not None:
                records.close()
            raise
        return Run(len(plan), flow, records if own else None)

    def run_jobs(self, jobs: Sequence[Job], recorded: Recorded | None = None) -> Run:
        """Carry out what was decided elsewhere.

        Args:
            jobs: what to do.
            recorded: what records tell of their results.

        Raises:
            SRSpaceError: as for :meth:`run`.
        """
        return self.run_part(DecidedPlan(jobs), recorded)

    def run_part(self, part: PartOfPlan | DecidedPlan, recorded: Recorded | None = None) -> Run:
        """Carry out a part of a run, whose records are kept elsewhere.

        Args:
            part: what to do.
            recorded: what records tell of the results.

        Raises:
            SRSpaceError: as for :meth:`run`.
        """
        return Run(len(part), self._pipeline(part, None, recorded))

    def _pipeline(
        self,
        plan: Plan | PartOfPlan | DecidedPlan,
        progress: Callable[[Progress], None] | None,
        records: Records | Recorded | None,
    ) -> Pipeline:
        loaded, settings = self.load(), self.settings
        stages = Stages(Reader(settings, loaded.decide, self.scale), loaded.computers, Writer(settings))
        return Pipeline(plan, stages, loaded.decide.made, settings, progress, records)

    def expected(self) -> Made:
        """With what results are made, as far as that is known without weights and device."""
        ((_, fusion),) = [(None, None)] if self._chosen else self._families.items()
        made = Made.by(self.settings, fusion=fusion, scale=self.scale, device=None, precision=None)
        return replace(made, settings_sha256=self._fingerprint(made))

    def _fingerprint(self, made: Made) -> str:
        files = FILES[1:] if self._external else FILES  # another project's model is a single file
        sums = [value for file in files for value in checksums(self._families, file).values()]
        return fingerprint(self.settings, made, sums)

    def load(self) -> Loaded:
        """What decides on weights and what computes; loaded at the first call.

        Raises:
            SRSpaceError: as for :meth:`run`.
        """
        if self._loaded is None:
            self._loaded = self._load_chosen() if self._chosen else self._load_named()
        return self._loaded

    def _load_named(self) -> Loaded:
        """The same weights for every picture."""
        settings, mode = self.settings, self.settings.known_mode
        ((weights, fusion),) = self._families.items()
        upscalers = self._external or self._upscalers(settings, fusion)
        for upscaler in upscalers:
            upscaler.check(mode, settings.sampling, **settings.parameters)
        made = self._made(fusion, upscalers)
        each = self._each(len(upscalers))
        return Loaded(
            Named.of(made, weights, fusion), [_computer(each, upscaler, _always(upscaler)) for upscaler in upscalers]
        )

    def _upscalers(self, settings: BatchSettings, fusion: str | None = None) -> list[Upscaler]:
        """One for each device."""
        from srspace.upscaler import Upscaler  # loads torch: a mistake is told without it

        return [
            Upscaler.load(
                settings.weights, modes=[settings.known_mode], fusion=fusion, device=str(device),
                precision=settings.precision,
            )
            for device in _devices(settings)
        ]  # fmt: skip

    def _load_chosen(self) -> Loaded:
        """For each picture the family of weights that suits it."""
        from srspace.auto import AutoUpscaler

        settings, mode = self.settings, self.settings.known_mode
        upscalers = [
            AutoUpscaler(modes=[mode], device=str(device), precision=settings.precision)
            for device in _devices(self.settings)
        ]
        each = self._each(len(upscalers))
        computers = [_computer(each, upscaler, _family_of(upscaler)) for upscaler in upscalers]
        made = self._made(None, upscalers)
        return Loaded(Chosen.of(made, self._families), computers)

    def _each(self, count: int) -> BatchSettings:
        """The settings of each of so many computers: on a CPU, they share its memory."""
        if _devices(self.settings)[0].type != "cpu":
            return self.settings
        return self.settings.sharing_memory(count)

    def _made(self, fusion: str | None, upscalers: Sequence[Upscaler | AutoUpscaler]) -> Made:
        device = ",".join(str(upscaler.device) for upscaler in upscalers)
        made = Made.by(self.settings, fusion=fusion, scale=self.scale, device=device, precision=upscalers[0].precision)
        return replace(made, settings_sha256=self._fingerprint(made))


def _devices(settings: BatchSettings) -> list[torch.device]:
    from srspace.devices import pick_devices  # loads torch, too

    return pick_devices(settings.device)


def _always(upscaler: Upscaler) -> Callable[[Made], Upscaler]:
    return lambda made: upscaler


def _family_of(upscaler: AutoUpscaler) -> Callable[[Made], Upscaler]:
    return lambda made: upscaler.family(str(made.weights))


def _computer(
    settings: BatchSettings, upscaler: Upscaler | AutoUpscaler, serving: Callable[[Made], Upscaler]
) -> Computer:
    return Computer(settings, lambda made: SizedUpscaler.of(serving(made), settings.size), str(upscaler.device))


@dataclass(frozen=True)
class Loaded:
    """What a workshop has loaded.

    Attributes:
        decide: decides on a picture's weights.
        computers: as of :class:`srspace.batch.pipeline.Stages`.
    """

    decide: Decision
    computers: list[Computer]
