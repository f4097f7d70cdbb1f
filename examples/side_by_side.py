"""Crops of several pictures through every mode, at 100 %: python examples/side_by_side.py OUTPUT HR...

Each HR picture is reduced 4x by MATLAB's bicubic; the middle of what comes back stands beside the original.
"""

import sys

import numpy as np
from PIL import Image, ImageDraw

import srspace

SIDE, GAP, HEAD = 192, 6, 20
MODES = ("rrdb", "sample", "mean", "fusion-l1", "fusion-lpips")


def middle(rgb: np.ndarray) -> Image.Image:
    top, left = ((length - SIDE) // 2 for length in rgb.shape[:2])
    cut = rgb[max(0, top) : max(0, top) + SIDE, max(0, left) : max(0, left) + SIDE]
    return Image.fromarray((cut.clip(0, 1) * 255).round().astype(np.uint8))


target, sources = sys.argv[1], sys.argv[2:]
upscaler = srspace.Upscaler.load(modes=MODES)
names = ("bicubic", *MODES, "original")
sheet = Image.new("RGB", (len(names) * (SIDE + GAP) - GAP, len(sources) * (SIDE + GAP) - GAP + HEAD), "white")
for i, name in enumerate(names):
    ImageDraw.Draw(sheet).text((i * (SIDE + GAP) + 2, 2), name, fill="black", font_size=13)
for row, source in enumerate(sources):
    hr = np.asarray(Image.open(source).convert("RGB"))
    hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
    lr = srspace.imresize(hr, 0.25)
    picture = srspace.Picture(rgb=(lr / 255).astype(np.float32))
    panels = [srspace.imresize(lr / 255.0, 4)]
    panels += [upscaler.upscale(picture, mode=mode).picture.rgb for mode in MODES]
    for i, panel in enumerate((*panels, hr / 255)):
        sheet.paste(middle(panel), (i * (SIDE + GAP), row * (SIDE + GAP) + HEAD))
sheet.save(target)
