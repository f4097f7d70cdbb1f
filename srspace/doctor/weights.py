"""The weights in the box, compared with the catalogue's checksums."""

from __future__ import annotations

from collections.abc import Iterator

from srspace.doctor.finding import Finding, Level
from srspace.errors import WeightsError
from srspace.hub import load_catalog, verify_folder, weights_root


def check_weights() -> Iterator[Finding]:
    """Every entry of the catalogue that comes in the box."""
    try:
        entries = [entry for entry in load_catalog().values() if entry.repo is None or entry.bundled]
    except WeightsError as error:
        yield Finding("weights", Level.PROBLEM, f"{error} Install srspace again.")
        return
    sound = []
    for entry in entries:
        problems = [check for check in verify_folder(weights_root() / entry.name, entry) if check.problem]
        for check in problems:
            text = f"{check.path} {check.problem}. Install srspace again."
            yield Finding(f"weights {entry.name}", Level.PROBLEM, text)
        if not problems:
            sound.append(entry.name)
    if sound:
        yield Finding("weights", Level.OK, f"as in the catalogue: {', '.join(sound)}.")
