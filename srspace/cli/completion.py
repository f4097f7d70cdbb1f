"""What a shell completes: names that are known, looked up only when somebody presses the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[str] | list[tuple[str, str]]]
"""From the beginning of a word to what it may become, alone or with a line of help for each."""


def complete(names: Callable[[], Iterable[str]]) -> Completion:
    """Complete one of ``names``."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def complete_list(names: Callable[[], Iterable[str]]) -> Completion:
    """Complete the last of several names that are separated by commas."""

    def completion(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names() if name.startswith(last)]

    return completion


def modes(incomplete: str) -> list[tuple[str, str]]:
    """Complete a mode, with what it does."""
    from srspace.modes import EXTERNAL, every

    return [(mode.name, mode.help) for mode in (*every().values(), EXTERNAL) if mode.name.startswith(incomplete)]


def weights(kind: str = "") -> Completion:
    """Complete weights of the catalogue, of one kind or of all."""

    def names() -> Iterable[str]:
        from srspace.hub import load_catalog

        return (name for name, entry in load_catalog().items() if entry.kind.endswith(kind))

    return complete(names)


def chosen_weights(incomplete: str) -> list[str]:
    """Complete weights of a flow, or the word that stands for those that suit each picture."""
    from srspace.config import AUTO_WEIGHTS
    from srspace.hub import load_catalog

    flows = [name for name, entry in load_catalog().items() if entry.kind == "flow"]
    return [name for name in (AUTO_WEIGHTS, *flows) if name.startswith(incomplete)]


def latents() -> Iterable[str]:
    """Ways to draw latents."""
    from srspace.config import SamplingConfig
    from srspace.fields import fields_of

    return fields_of(SamplingConfig)["latents"].choices


def uncertainty_styles() -> Iterable[str]:
    """Ways to draw where candidates differ."""
    from srspace.batch.settings import STYLES

    return STYLES


def formats() -> Iterable[str]:
    """Formats that can be written."""
    from srspace.images.formats import writable

    return writable()


def datasets() -> Iterable[str]:
    """Data sets of the catalogue."""
    from srspace.data.catalog import load_catalog

    return load_catalog()


def metrics() -> Iterable[str]:
    """Metrics, and the word for all of them."""
    from srspace.metrics import every

    return ("all", *every())


def metric_weights() -> Iterable[str]:
    """Networks that metrics need."""
    from srspace.metrics import networks

    return networks()


def protocols() -> Iterable[str]:
    """Protocols of a benchmark."""
    from srspace.benchmark.protocol import PROTOCOLS

    return PROTOCOLS


def backbones() -> Iterable[str]:
    """Backbones of LPIPS."""
    from srspace.metrics import LPIPS_NETS

    return LPIPS_NETS


def rows() -> Iterable[str]:
    """Rows of a benchmark: the modes, bicubic, and the word for the paper's rows."""
    from srspace.modes import every

    return ("paper", "bicubic", *every())


def recipes() -> Iterable[str]:
    """Recipes of trainings."""
    from srspace.training.recipes import recipes as every

    return every()
