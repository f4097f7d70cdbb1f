"""Walk the perception-distortion plane: python examples/trade_off.py LR HR [N].

Prints PSNR on Y (dB, higher is nearer to the truth) and LPIPS (lower looks more natural) of every mode that there are
weights for.
"""

import sys

import torch

import srspace
from srspace import modes
from srspace.hub import load_catalog
from srspace.metrics import Lpips, psnr

lr, hr = (srspace.read_picture(path) for path in sys.argv[1:3])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 10
networks = {None, *(entry.mode for entry in load_catalog().values())}
names = [mode.name for mode in modes.every().values() if mode.network in networks]
upscaler = srspace.Upscaler.load(modes=names)
distance = Lpips("alex")


def tensor(picture: srspace.Picture) -> torch.Tensor:
    return torch.from_numpy(picture.rgb.transpose(2, 0, 1).copy())[None]


for mode in names:
    sr = upscaler.upscale(lr, mode=mode, sampling=srspace.SamplingConfig(samples=count)).picture
    db = psnr(tensor(sr), tensor(hr), y_only=True, border=4).item()
    print(f"{mode:14s} {db:6.2f} dB  LPIPS {distance(tensor(sr), tensor(hr)).item():.3f}")
