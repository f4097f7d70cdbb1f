"""Save candidates of one picture: python examples/candidates.py INPUT FOLDER [N]."""

import sys
from pathlib import Path

import srspace

source, folder = sys.argv[1], Path(sys.argv[2])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 4
upscaler = srspace.Upscaler.load()
upscaler.upscale(
    srspace.read_picture(source),
    sampling=srspace.SamplingConfig(samples=count, temperature=0.9),
    on_candidate=lambda i, picture: srspace.write_picture(picture, folder / f"candidate_{i:02d}.png"),
)
