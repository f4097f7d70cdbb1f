"""Bicubic beside two modes, as at the top of the README: python examples/before_after.py INPUT OUTPUT."""

import sys

import numpy as np
from PIL import Image, ImageDraw

import srspace

source, target = sys.argv[1:3]
picture = srspace.read_picture(source)
upscaler = srspace.Upscaler.load(modes=["mean", "fusion-lpips"])
panels = {"bicubic": srspace.imresize(picture.rgb, 4).clip(0, 1)}
for mode in ("mean", "fusion-lpips"):
    panels[mode] = upscaler.upscale(picture, mode=mode).picture.rgb
height, width = panels["bicubic"].shape[:2]
sheet = Image.new("RGB", (len(panels) * (width + 8) - 8, height + 22), "white")
for i, (name, rgb) in enumerate(panels.items()):
    sheet.paste(Image.fromarray((rgb * 255).round().astype(np.uint8)), (i * (width + 8), 22))
    ImageDraw.Draw(sheet).text((i * (width + 8) + 4, 4), name, fill="black", font_size=14)
sheet.save(target)
