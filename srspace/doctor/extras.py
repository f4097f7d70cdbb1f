"""What each extra would bring."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from srspace.doctor.finding import Finding, Level

EXTRAS = {
    "compare": ("spandrel", "models of other projects"),
    "metrics": ("piq", "the metrics PieAPP and DISTS"),
    "plot": ("matplotlib", "plots of the perception-distortion plane"),
    "formats": ("pillow_heif", "HEIC and JPEG XL, and more than 8 bits in JPEG XL and JPEG 2000"),
    "preview": ("textual_image", "sharper pictures from --preview, in terminals that can show them"),
    "serve": ("starlette", "srspace serve"),
    "ray": ("ray", "--engine ray, for several machines"),
    "remote": ("s3fs", "pictures at addresses such as s3://bucket/folder"),
    "no-reference": ("pyiqa", "the metrics NIQE, Ma and PI, for non-commercial use only"),
}
"""By the extra's name: the package that it installs, and what that is for."""


def check_extras() -> Iterator[Finding]:
    """Which extras are installed."""
    for extra, (package, use) in EXTRAS.items():
        if find_spec(package) is None:
            yield Finding(f"extra {extra}", Level.NOTE, f"not installed. pip install 'srspace[{extra}]' brings {use}.")
        else:
            yield Finding(f"extra {extra}", Level.OK, f"installed: {use}.")
