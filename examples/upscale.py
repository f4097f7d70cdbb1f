"""Upscale one picture: python examples/upscale.py INPUT OUTPUT [MODE]."""

import sys

import srspace

source, target = sys.argv[1:3]
mode = sys.argv[3] if len(sys.argv) > 3 else "mean"
upscaler = srspace.Upscaler.load(modes=[mode])
result = upscaler.upscale(srspace.read_picture(source), mode=mode)
srspace.write_picture(result.picture, target)
print(f"{target}: {result.picture.width}x{result.picture.height} in {result.seconds:.1f} s")
