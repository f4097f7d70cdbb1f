"""Small whole files of every kind that is read, for tests that damage them."""

from __future__ import annotations

import io
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from srspace.images.containers import png
from srspace.images.containers.png import Chunk
from tests.pictures import deep, encoded

FIELD = Path(__file__).parent / "field" / "files"
_SIZE = (24, 20)


def seeds() -> dict[str, bytes]:
    """Files by name; those of optional packages only where these are installed."""
    files = _by_pillow() | _by_libvips() | _by_hand() | _animations()
    for path in sorted(FIELD.rglob("*")):
        if path.is_file() and path.suffix != ".md" and "damaged" not in path.name and path.stat().st_size < 20_000:
            files[path.name] = path.read_bytes()
    if find_spec("imagecodecs"):
        import imagecodecs

        files["deep.jp2"] = imagecodecs.jpeg2k_encode(_deep(), level=0, reversible=True, codecformat="JP2")
    if find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401

        files["plain.jxl"] = encoded(_image(), "JXL", lossless=True)
    return files


def samples(channels: int = 3) -> np.ndarray:
    """A smooth picture with an edge and a little noise."""
    y, x = np.mgrid[: _SIZE[1], : _SIZE[0]]
    planes = [(x * 9 + y * (3 + c) + 60 * (x > 12)) % 256 for c in range(channels)]
    return np.stack(planes, axis=2).astype(np.uint8)


def _deep() -> np.ndarray:
    return samples().astype(np.uint16) * 257 + 3


def _image(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(samples()).convert(mode)


def _by_pillow() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Fictive"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0hello"
    told = {"exif": exif, "dpi": (300, 300)}
    transparent = _image().convert("RGBA")
    transparent.putalpha(Image.fromarray(samples(1)[..., 0]))
    palette = _image().quantize(16)
    return {
        "baseline.jpg": encoded(_image(), "JPEG", **told),
        "progressive.jpg": encoded(_image(), "JPEG", progressive=True, quality=95),
        "restarts.jpg": encoded(_image(), "JPEG", restart_marker_blocks=1, optimize=True),
        "cmyk.jpg": encoded(_image("CMYK"), "JPEG"),
        "grey.jpg": encoded(_image("L"), "JPEG"),
        "rgb.png": encoded(_image(), "PNG", **told),
        "rgba.png": encoded(transparent, "PNG"),
        "palette.png": encoded(palette, "PNG", transparency=3),
        "bilevel.png": encoded(_image("1"), "PNG"),
        "lossy.webp": encoded(_image(), "WEBP", exif=exif),
        "lossless.webp": encoded(transparent, "WEBP", lossless=True),
        "rgb.avif": encoded(_image(), "AVIF", exif=exif),
        "rgba.avif": encoded(transparent, "AVIF", speed=10),
        "still.gif": encoded(palette, "GIF", comment=b"hello"),
        "clear.gif": encoded(palette, "GIF", transparency=3, interlace=1),
        "rgb.bmp": encoded(_image(), "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "rgb.tga": encoded(_image(), "TGA"),
        "runs.tga": encoded(transparent, "TGA", compression="tga_rle"),
        "rgb.jp2": encoded(_image(), "JPEG2000"),
        "rgb.j2k": encoded(_image(), "JPEG2000", no_jp2=True),
        "rgb.pcx": encoded(_image(), "PCX"),
        "rgb.sgi": encoded(_image(), "SGI"),
        "rgb.qoi": encoded(_image(), "QOI"),
        "lzw.tif": encoded(_image(), "TIFF", compression="tiff_lzw", **told),
        "jpeg.tif": encoded(_image(), "TIFF", compression="jpeg"),
        "group4.tif": encoded(_image("1"), "TIFF", compression="group4"),
        "cmyk.tif": encoded(_image("CMYK"), "TIFF"),
        "palette.tif": encoded(palette, "TIFF"),
        "zstd.tif": encoded(_image(), "TIFF", compression="zstd"),
        "lzma.tif": encoded(_image(), "TIFF", compression="lzma"),
        "lab.tif": encoded(_image().convert("LAB"), "TIFF"),
    }


def _by_libvips() -> dict[str, bytes]:
    grey = deep(_deep()[..., :1].copy(), "grey16")
    return {
        "deep.png": deep(_deep()).write_to_buffer(".png", bitdepth=16),
        "deep.tif": deep(_deep()).write_to_buffer(".tif", compression="deflate", predictor="horizontal"),
        "tiles.tif": deep(_deep()).write_to_buffer(".tif", compression="lzw", tile=True, tile_width=16, tile_height=16),
        "big.tif": grey.write_to_buffer(".tif", bigtiff=True),
        "ten.avif": deep(_deep()).heifsave_buffer(compression="av1", bitdepth=10, Q=90),
    }


def _by_hand() -> dict[str, bytes]:
    width, height = _SIZE
    text = " ".join(map(str, samples().ravel()))
    wide = _deep().astype(">u2").tobytes()
    return {
        "plain.ppm": f"P3\n# a comment\n{width} {height}\n255\n{text}\n".encode(),
        "binary.ppm": f"P6\n{width} {height}\n255\n".encode() + samples().tobytes(),
        "deep.ppm": f"P6\n{width} {height}\n65535\n".encode() + wide,
        "bits.pbm": f"P4\n{width} {height}\n".encode() + np.packbits(samples(1)[..., 0] > 128, axis=1).tobytes(),
        "rgba.pam": (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".encode()
            + samples(4).tobytes()
        ),
        "grey2.png": _low_grey(),
    }


def _low_grey() -> bytes:
    """2 bits of grey, one of which is transparent."""
    width, height = _SIZE
    header = struct.pack(">IIBBBBB", width, height, 2, 0, 0, 0, 0)
    two = samples(1)[..., 0] >> 6
    packed = two[:, 0::4] << 6 | two[:, 1::4] << 4 | two[:, 2::4] << 2 | two[:, 3::4]
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    parts = [(b"IHDR", header), (b"tRNS", b"\0\2"), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return png.joined(Chunk(kind, data) for kind, data in parts)


def _animations() -> dict[str, bytes]:
    frames = []
    for step in range(3):
        moved = samples()
        moved[4:10, 4 * step : 4 * step + 6] = (255, 0, 0)
        frames.append(Image.fromarray(moved))
    rest = {"save_all": True, "append_images": frames[1:], "duration": [50, 70, 90]}
    return {
        "animated.gif": encoded(frames[0], "GIF", loop=0, **rest),
        "animated.png": encoded(frames[0], "PNG", loop=2, **rest),
        "animated.webp": encoded(frames[0], "WEBP", loop=2, lossless=True, **rest),
    }


def in_parts(data: bytes) -> list[bytes]:
    """A file cut at places that look like the beginnings of chunks, for putting them together in another order."""
    buffer = io.BytesIO(data)
    return [buffer.read(step) for step in (8, *[max(len(data) // 16, 16)] * 17) if step]
