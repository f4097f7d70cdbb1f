"""Ten small pictures such as people have, through both families of weights.

python examples/damaged_pictures.py FOLDER [NAME...]

Draws and damages the pictures (pages, cartoons, scans, photographs in the dark, ...), all or those named, and writes
them to FOLDER with what each family makes of them. FOLDER/sheet.jpg has crops of bicubic, the clean and the real family
side by side.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import srspace

HERE = Path(__file__).parent
FAMILIES = ("srflow-da-x4-lite", "srflow-da-x4-real-lite")
CROP, GAP, HEAD = 208, 6, 18
WORDS = "The quick brown fox jumps over 13 lazy dogs while 2,048 pixels look on from 7 windows at noon. ".split()  # noqa: SIM905


def photo(name: str) -> Image.Image:
    return Image.open(HERE / f"{name}_HR.png").convert("RGB")


def jpeg(image: Image.Image, quality: int, **options: object) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality, **options)
    return Image.open(data).convert("RGB")


def noisy(image: Image.Image, sigma: float, seed: int, grain: float = 1) -> Image.Image:
    """Gaussian noise; ``grain`` is the size of its blotches in pixels."""
    size = round(image.width / grain), round(image.height / grain)
    noise = np.random.default_rng(seed).normal(0, sigma, (3, *size[::-1])).astype(np.float32)
    planes = [Image.fromarray(plane).resize(image.size, Image.Resampling.BICUBIC) for plane in noise]
    added = np.asarray(image) + np.stack([np.asarray(plane) for plane in planes], 2)
    return Image.fromarray(added.clip(0, 255).round().astype(np.uint8))


def page(size: tuple[int, int], points: int, ink: str = "black", paper: str = "white") -> Image.Image:
    image = Image.new("RGB", size, paper)
    draw, font, (x, y) = ImageDraw.Draw(image), ImageFont.load_default(points), (points, points)
    for i in range(400):
        word = WORDS[i * 7 % len(WORDS)]
        if x + draw.textlength(word, font) > size[0] - points:
            x, y = points, y + round(1.5 * points)
        draw.text((x, y), word, ink, font)
        x += round(draw.textlength(word + " ", font))
    return image


def cartoon(side: int = 640) -> Image.Image:
    """A face with outlines and flat colours, drawn large and reduced."""
    image = Image.new("RGB", (side, side), "#7ec8e3")
    draw, line = ImageDraw.Draw(image), side // 64
    draw.rectangle((0, 0.72 * side, side, side), "#5fa55a", "black", line)
    draw.ellipse((0.18 * side, 0.15 * side, 0.82 * side, 0.85 * side), "#ffd9a0", "black", line)
    draw.chord((0.16 * side, 0.08 * side, 0.84 * side, 0.62 * side), 180, 360, "#8b3a2b", "black", line)
    for x in (0.38, 0.62):
        draw.ellipse(((x - 0.08) * side, 0.38 * side, (x + 0.08) * side, 0.56 * side), "white", "black", line)
        draw.ellipse(((x - 0.03) * side, 0.44 * side, (x + 0.03) * side, 0.52 * side), "black")
    draw.arc((0.36 * side, 0.52 * side, 0.64 * side, 0.76 * side), 20, 160, "#c0392b", 2 * line)
    draw.text((0.06 * side, 0.03 * side), "HELLO!", "black", ImageFont.load_default(side // 9))
    return image


def halftone(image: Image.Image, period: float) -> Image.Image:
    y, x = np.mgrid[: image.height, : image.width]
    dots = 0.5 + 0.25 * (np.cos(2 * np.pi * (x + y) / period) + np.cos(2 * np.pi * (x - y) / period))
    grey = np.asarray(image.convert("L")) / 255
    return Image.fromarray(np.where(grey > dots, 245, 30).astype(np.uint8)).convert("RGB")


def reduced(image: Image.Image, side: int, filter: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    factor = side / max(image.size)
    return image.resize((round(image.width * factor), round(image.height * factor)), filter)


def web_page() -> Image.Image:
    """A screen capture, photographed and saved twice."""
    screen = page((420, 420), 24).rotate(1.2, Image.Resampling.BICUBIC, fillcolor="white")
    return jpeg(
        jpeg(noisy(screen.filter(ImageFilter.GaussianBlur(1.2)), 4, 1).resize((220, 220)), 60).resize((176, 176)), 70
    )


def small_print() -> Image.Image:
    """Letters of 12 pixels, compressed."""
    return jpeg(page((176, 176), 12), 45)


def web_cartoon() -> Image.Image:
    return jpeg(reduced(cartoon(), 160, Image.Resampling.LANCZOS), 18)


def palette_cartoon() -> Image.Image:
    """A GIF of 24 colours, enlarged without smoothing and reduced again."""
    few = reduced(cartoon(), 120).quantize(24, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")
    return few.resize((180, 180), Image.Resampling.NEAREST).resize((150, 150), Image.Resampling.BILINEAR)


def scan() -> Image.Image:
    """A printed page on yellowish paper, a little askew."""
    paper = page((700, 700), 34, "#2a2a2a", "#f1ead6").rotate(-0.8, Image.Resampling.BICUBIC, fillcolor="#f1ead6")
    return jpeg(noisy(reduced(paper.filter(ImageFilter.GaussianBlur(2)), 176), 5, 2, 1.5), 75)


def newspaper() -> Image.Image:
    return jpeg(noisy(reduced(halftone(photo("otter"), 5.5), 160, Image.Resampling.BOX), 3, 3), 80)


def night() -> Image.Image:
    """A dark photograph, brightened by the camera: noise in blotches of colour."""
    dark = photo("parrot").point(lambda v: 0.3 * v)
    return jpeg(noisy(noisy(reduced(dark, 160), 4, 4), 9, 5, 2).point(lambda v: min(255, 2.4 * v)), 70, subsampling=2)


def messenger() -> Image.Image:
    """Reduced and compressed by one service, then by another, sharpened in between."""
    first = jpeg(reduced(photo("spices"), 230, Image.Resampling.BILINEAR), 55).filter(
        ImageFilter.UnsharpMask(1.5, 140, 0)
    )
    return jpeg(reduced(first, 160), 50)


def old_camera() -> Image.Image:
    """Sampled without a filter, then smoothed."""
    jagged = reduced(photo("otter"), 160, Image.Resampling.NEAREST)
    return jpeg(noisy(jagged.filter(ImageFilter.GaussianBlur(0.6)), 5, 6), 65)


def caption() -> Image.Image:
    """A photograph with outlined letters, saved many times."""
    image = reduced(photo("parrot"), 180)
    draw = ImageDraw.Draw(image)
    draw.text((8, 6), "WHEN IT WORKS", "white", ImageFont.load_default(21), stroke_width=2, stroke_fill="black")
    for i in range(4):
        image = jpeg(image.crop((1, 1, image.width, image.height)), 40 + 5 * i)
    return image


PICTURES: tuple[Callable[[], Image.Image], ...] = (
    web_page, small_print, web_cartoon, palette_cartoon, scan, newspaper, night, messenger, old_camera, caption,
)  # fmt: skip


def middle(image: Image.Image) -> Image.Image:
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 3
    return image.crop((left, top, left + CROP, top + CROP))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    makers = [make for make in PICTURES if make.__name__ in sys.argv[2:] or len(sys.argv) == 2]
    families = [srspace.Upscaler.load(family, modes=("dial",)) for family in FAMILIES]
    columns = ("bicubic", "clean family", "real family")
    width = 2 * len(columns) * (CROP + GAP) + GAP
    sheet = Image.new("RGB", (width, (len(makers) + 1) // 2 * (CROP + GAP + HEAD)), "white")
    for i, make in enumerate(makers):
        lr, name = make(), make.__name__
        lr.save(folder / f"{name}.png")
        picture = srspace.Picture(rgb=(np.asarray(lr) / 255).astype(np.float32))
        results = [lr.resize((4 * lr.width, 4 * lr.height), Image.Resampling.BICUBIC)]
        for family, upscaler in zip(FAMILIES, families, strict=True):
            rgb = upscaler.upscale(picture, mode="dial").picture.rgb
            results.append(Image.fromarray((rgb * 255).round().astype(np.uint8)))
            results[-1].save(folder / f"{name}_{family}.png")
        chosen = srspace.assess(picture).family
        row, side = i // 2, i % 2 * (width // 2)
        for k, (column, result) in enumerate(zip(columns, results, strict=True)):
            x, y = side + k * (CROP + GAP) + GAP, row * (CROP + GAP + HEAD)
            label = name.replace("_", " ") if k == 0 else column
            ImageDraw.Draw(sheet).text((x, y + 2), label, "black", ImageFont.load_default(12))
            sheet.paste(middle(result), (x, y + HEAD))
        print(f"{name}: {lr.width}x{lr.height}, auto takes {chosen}")
    sheet.save(folder / "sheet.jpg", quality=88)
