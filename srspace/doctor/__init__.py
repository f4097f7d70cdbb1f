"""What is wrong with an installation, if anything: each check is a small function, and none stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from srspace.doctor.environment import check_caches, check_devices, check_python, check_torch, check_torchvision
from srspace.doctor.extras import check_extras
from srspace.doctor.finding import Finding, Level
from srspace.doctor.speed import check_speed
from srspace.doctor.weights import check_weights

__all__ = ["CHECKS", "Check", "Finding", "Level", "examine"]

Check = Callable[[], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "python": check_python,
    "torch": check_torch,
    "torchvision": check_torchvision,
    "devices": check_devices,
    "caches": check_caches,
    "weights": check_weights,
    "speed": check_speed,
    "extras": check_extras,
}
"""The checks by name, in order."""


def examine(checks: dict[str, Check] | None = None) -> Iterator[Finding]:
    """Everything that the checks find, as it is found.

    Args:
        checks: by name (None: :data:`CHECKS`).
    """
    for name, check in (checks or CHECKS).items():
        try:
            yield from check()
        except Exception as error:  # a broken installation may raise anything, and the other checks still help
            detail = " ".join(str(error).split())[:160].rstrip(".")
            yield Finding(name, Level.PROBLEM, f"could not be checked ({type(error).__name__}: {detail}).")
