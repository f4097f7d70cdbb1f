"""Small print through every mode that there are weights for, read by tesseract where it is installed.

python examples/text_page.py FOLDER [FONT.ttf] [LINES] [N] [SIZE]

Renders a page of words and figures in four sizes from SIZE pixels up, reduces it 4x, upscales it and prints the share
of characters read correctly.
"""

import random
import shutil
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import srspace
from srspace import modes
from srspace.hub import load_catalog

WORDS = """
    account amount batch between carton column customer dated delivery district fifteen figure front gross handle
    hundred invoice kilogram ledger margin measure metre minute morning number office order packet paid pressure
    quarter reading receipt record remark return second serial sheet signature sixty station storage street table
    thirty ticket total tuesday unit valve volume warehouse weight winter yearly
""".split()  # noqa: SIM905


def page(lines: int, font: str | None, smallest: int) -> tuple[Image.Image, str]:
    rng = random.Random(2026)
    image = Image.new("RGB", (640, 24 + 34 * lines), "white")
    draw, written = ImageDraw.Draw(image), []
    for i in range(lines):
        size = smallest + (6, 4, 2, 0)[i % 4]
        face = ImageFont.truetype(font, size) if font else ImageFont.load_default(size)
        words = [rng.choice(WORDS) if rng.random() < 0.6 else str(rng.randint(10, 99999)) for _ in range(5)]
        while draw.textlength(" ".join(words), face) > 600:
            words.pop()
        draw.text((16, 12 + 34 * i), " ".join(words), "black", face)
        written.append(" ".join(words))
    height = image.height // 4 * 4
    return image.crop((0, 0, 640, height)), "\n".join(written)


def read(path: Path) -> str:
    command = ["tesseract", str(path), "-", "--psm", "6", "--dpi", "150"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
font = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] != "-" else None
lines = int(sys.argv[3]) if len(sys.argv) > 3 else 16
count = int(sys.argv[4]) if len(sys.argv) > 4 else 10
smallest = int(sys.argv[5]) if len(sys.argv) > 5 else 22

truth, text = page(lines, font, smallest)
lr = srspace.imresize(np.asarray(truth), 0.25)
truth.save(folder / "truth.png")
Image.fromarray(lr).save(folder / "lr.png")
bicubic = srspace.imresize(lr / 255.0, 4).clip(0, 1)
Image.fromarray((bicubic * 255).round().astype(np.uint8)).save(folder / "bicubic.png")
networks = {None, *(entry.mode for entry in load_catalog().values())}
names = [mode.name for mode in modes.every().values() if mode.network in networks]
upscaler = srspace.Upscaler.load(modes=names)
for mode in names:
    sampling = srspace.SamplingConfig(samples=count)
    result = upscaler.upscale(srspace.read_picture(folder / "lr.png"), mode=mode, sampling=sampling)
    srspace.write_picture(result.picture, folder / f"{mode}.png")
for name in ("truth", "bicubic", *names):
    line = f"{name:14s} {folder / f'{name}.png'}"
    if shutil.which("tesseract"):
        found = read(folder / f"{name}.png")
        matches = SequenceMatcher(None, text, found, autojunk=False).get_matching_blocks()
        line += f"  {100 * sum(m.size for m in matches) / len(text):.1f} % of the characters"
    print(line)
