"""Decoding and encoding pictures: bit depth, alpha, grey, colour profiles and orientation kept right."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from srspace.errors import ImageError, OutputError, PictureSizeError, UsageError
from srspace.files import write_bytes
from srspace.provenance import Provenance

MAX_PIXELS = 100_000_000
"""Largest input accepted, in pixels: at 4x this is already 1.6 gigapixels."""


_CLASSIC_TIFF = 2**31
"""Bytes of samples from which on TIFF is written with 64-bit offsets."""


_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNM_HEADER = re.compile(rb"P([2356])(?:\s+|#[^\n]*\n)+(\d+)\s+(\d+)\s+(\d+)")
_SAMPLES = {
    "float": "32-bit floating-point",
    "double": "64-bit floating-point",
    "int": "32-bit",
    "uint": "32-bit",
    "short": "signed 16-bit",
    "char": "signed 8-bit",
}


@dataclass(frozen=True)
class Format:
    """A file format that can be written.

    Attributes:
        suffixes: file name endings, the usual one first.
        bit_depths: what its samples can hold.
        alpha: whether it can be transparent.
        max_side: longest side that it can hold, in pixels.
        options: of Pillow's encoder.
    """

    suffixes: tuple[str, ...]
    bit_depths: tuple[int, ...]
    alpha: bool
    max_side: int
    options: tuple[tuple[str, Any], ...] = ()


FORMATS = {
    # A photograph at the usual level of 6 is not 1 % smaller, and takes up to three times as long.
    "png": Format((".png",), (8, 16), True, 2**31 - 1, (("compress_level", 4),)),
    "tiff": Format((".tif", ".tiff"), (8, 16), True, 2**31 - 1, (("compression", "tiff_adobe_deflate"),)),
    "webp": Format((".webp",), (8,), True, 16_383, (("quality", 95),)),
    "jpeg": Format((".jpg", ".jpeg"), (8,), False, 65_500, (("quality", 95), ("subsampling", 0))),
    "avif": Format((".avif",), (8,), True, 65_500, (("quality", 90), ("subsampling", "4:4:4"))),
}
INPUT_SUFFIXES = frozenset(
    {s for f in FORMATS.values() for s in f.suffixes} | {".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".tga", ".jp2"}
)


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: ``(H, W, 3)`` float32 in [0, 1], straight (not premultiplied) colours in the file's own colour space.
        alpha: ``(H, W)`` float32 in [0, 1], or None.
        bit_depth: 8 or 16, told from the file's type.
        grey: whether the file held one colour channel; it is then written as one.
        icc_profile: the embedded colour profile, kept as it is.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None = None
    bit_depth: int = 8
    grey: bool = False
    icc_profile: bytes | None = None

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])


def read_picture(
    source: Path | str | bytes | BinaryIO, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Decode a picture; of an animation, the first frame.

    EXIF orientation is applied. CMYK and Lab are converted to sRGB; other colour spaces stay and keep their profile.

    Args:
        source: a path, the file's bytes, or a binary stream.
        name: what to call the picture in messages.
        max_pixels: refuse larger pictures before decoding them.

    Raises:
        ImageError: the source is not a picture that can be read, or too large.
    """
    name = name or (str(source) if isinstance(source, Path | str) else "the input")
    data = read_bytes(source, name)
    if not data:
        raise ImageError(f"{name} is empty.")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            _check_pixels(image.width, image.height, max_pixels)
            if image.format == "PPM" and (header := _PNM_HEADER.match(data)) and int(header[4]) > 255:
                return _read_deep_pnm(data, header)
            return _read_with_vips(data, max_pixels) if _is_deep(image, data) else _read_8bit(image)
    except _UnsupportedError as error:
        raise ImageError(f"{name} has {error}.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has more than the {max_pixels / 1e6:.0f} megapixels allowed.") from error
    except UnidentifiedImageError as error:
        if data[:4] not in _TIFF_MAGIC:
            raise ImageError(f"{name} is not a picture in a known format.") from error
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise _damaged(name, error) from error
    try:
        return _read_with_vips(data, max_pixels)  # kinds of TIFF that Pillow does not know, such as 16-bit grey + alpha
    except _UnsupportedError as error:
        raise ImageError(f"{name} has {error}.") from error
    except Exception as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ImageError:
    detail = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ImageError(f"{name} is damaged or cut short ({detail[:120]}).")


def read_bytes(source: Path | str | bytes | BinaryIO, name: str) -> bytes:
    """The bytes of a file or stream, called ``name`` in messages.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes() if isinstance(source, Path | str) else source.read()
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror or error}.") from error


def encode_picture(picture: Picture, format: str, *, provenance: Provenance | None = None) -> bytes:
    """Encode as ``format``, one of :data:`FORMATS`.

    Formats without transparency get the picture on white; formats of 8 bits get it rounded.

    Args:
        picture: what to encode.
        format: a key of :data:`FORMATS`.
        provenance: mark the file as a result (XMP).

    Raises:
        UsageError: the format is unknown.
        OutputError: the format cannot hold a picture of this size.
    """
    if format not in FORMATS:
        raise UsageError(f"the format must be one of {', '.join(FORMATS)}, not {format!r}.")
    check_side(format, picture.width, picture.height)
    rules = FORMATS[format]
    depth = picture.bit_depth if picture.bit_depth in rules.bit_depths else 8
    colour = picture.rgb[..., :1] if picture.grey else picture.rgb
    alpha = picture.alpha
    if alpha is not None and not rules.alpha:
        colour, alpha = colour * alpha[..., None] + (1 - alpha[..., None]), None
    samples = colour if alpha is None else np.concatenate((colour, alpha[..., None]), axis=2)
    top = 2**depth - 1
    integers = np.floor(samples.clip(0, 1) * top + 0.5).astype(np.uint16 if depth == 16 else np.uint8)
    if depth == 16:
        return _encode_deep(integers, format, picture.icc_profile, provenance)
    buffer = io.BytesIO()
    image = Image.fromarray(integers[..., 0] if integers.shape[2] == 1 else integers)
    options = dict(rules.options)
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    if provenance is not None:
        options |= _xmp_options(format, provenance)
    if format == "tiff" and integers.nbytes > _CLASSIC_TIFF:
        options["big_tiff"] = True
    image.save(buffer, format.upper(), **options)
    return buffer.getvalue()


def write_picture(
    picture: Picture, path: Path | str, format: str | None = None, *, provenance: Provenance | None = None
) -> None:
    """Encode and write atomically; the format is told from the suffix unless given.

    Args:
        picture: what to write.
        path: where.
        format: a key of :data:`FORMATS` (None: as the suffix says).
        provenance: mark the file as a result (XMP).

    Raises:
        UsageError: the format is unknown.
        OutputError: the file cannot be written, or the format cannot hold a picture of this size.
    """
    path = Path(path)
    try:
        data = encode_picture(picture, format or format_of(path), provenance=provenance)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be encoded: {error}.") from error
    write_bytes(path, data)


def check_side(format: str, width: int, height: int) -> None:
    """Whether ``format`` can hold a picture of that size.

    Raises:
        OutputError: it cannot.
    """
    if max(width, height) > FORMATS[format].max_side:
        raise PictureSizeError(format, FORMATS[format].max_side, width, height)


def read_provenance(path: Path) -> Provenance | None:
    """The mark of a file that this program wrote, read without decoding the picture; None for any other file."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    except Exception:  # whatever is wrong with it, it is reported when the picture is read
        header = _vips_header(path)
        packet = header.get("xmp-data") if header is not None and header.get_typeof("xmp-data") else None
    return Provenance.from_xmp(packet) if isinstance(packet, bytes | str) else None


def read_size(path: Path) -> tuple[int, int] | None:
    """Width and height, read without decoding the picture; None when it is none."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return image.size
    except Exception:  # as above
        header = _vips_header(path)
        return None if header is None else (header.width, header.height)


def format_of(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: the suffix belongs to no format that can be written.
    """
    for name, rules in FORMATS.items():
        if path.suffix.lower() in rules.suffixes:
            return name
    known = " ".join(s for f in FORMATS.values() for s in f.suffixes)
    raise UsageError(f"{path} names no format that can be written (known: {known}).")


def is_picture_path(path: Path) -> bool:
    """Whether a file's name looks like a picture's."""
    return path.suffix.lower() in INPUT_SUFFIXES and not path.name.startswith(".")


class _UnsupportedError(Exception):
    """What a picture has that cannot be handled."""


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise _UnsupportedError(f"{width * height / 1e6:.0f} megapixels, more than the {most / 1e6:.0f} allowed")


def _is_deep(image: Image.Image, data: bytes) -> bool:
    if image.format == "PNG":
        return data[24] == 16
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return False


def _read_deep_pnm(data: bytes, header: re.Match[bytes]) -> Picture:
    kind, width, height, top = (int(group) for group in header.groups())
    shape = (height, width, 3 if kind in (3, 6) else 1)
    count = int(np.prod(shape))
    if kind > 3:
        samples = np.frombuffer(data, ">u2", count, offset=header.end() + 1)
    else:
        samples = np.array(data[header.end() :].split()[:count], dtype=np.uint16)
    rgb = np.broadcast_to(samples.reshape(shape).astype(np.float32) / top, (height, width, 3))
    return Picture(np.ascontiguousarray(rgb.clip(0, 1)), bit_depth=16, grey=shape[2] == 1)


def _vips() -> Any:
    import pyvips

    pyvips.cache_set_max(0)  # its cache would keep the pictures of a whole batch in memory
    return pyvips


def _vips_header(path: Path) -> Any:
    try:
        data = path.read_bytes() if path.is_file() else b""
        return _vips().Image.new_from_buffer(data, "") if data[:4] in _TIFF_MAGIC else None
    except Exception:  # not a picture that vips knows either
        return None


def _read_with_vips(data: bytes, max_pixels: int) -> Picture:
    image = _vips().Image.new_from_buffer(data, "", fail_on="truncated")
    _check_pixels(image.width, image.height, max_pixels)
    if image.format not in ("uchar", "ushort"):
        raise _UnsupportedError(
            f"{_SAMPLES.get(image.format, image.format)} samples; 8 and 16 bit integers are handled"
        )
    image = image.autorot()
    profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    alpha_there = image.hasalpha()
    deep = image.format == "ushort"
    if image.interpretation not in ("rgb16", "grey16", "multiband", "b-w", "rgb", "srgb"):
        image, profile = image.colourspace("rgb16" if deep else "srgb"), None
    if image.bands - alpha_there not in (1, 3):
        raise _UnsupportedError(f"{image.bands} channels; grey and RGB are handled, each with or without alpha")
    samples = np.asarray(image.numpy(), np.float32).reshape(image.height, image.width, image.bands)
    samples /= 65535 if deep else 255
    colour = samples[..., :-1] if alpha_there else samples
    grey = colour.shape[2] < 3
    return Picture(
        rgb=np.repeat(colour[..., :1], 3, axis=2) if grey else np.ascontiguousarray(colour[..., :3]),
        alpha=np.ascontiguousarray(samples[..., -1]) if alpha_there else None,
        bit_depth=16 if deep else 8,
        grey=grey,
        icc_profile=bytes(profile) if profile else None,
    )


def _read_8bit(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F"):
        kind = _SAMPLES["int" if image.mode == "I" else "float"]
        raise _UnsupportedError(f"{kind} samples; 8 and 16 bit integers are handled")
    if image.mode.startswith("I;16"):
        grey16 = np.asarray(image, np.float32)[..., None].repeat(3, axis=2) / np.float32(65535)
        return Picture(grey16, bit_depth=16, grey=True, icc_profile=profile)
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        image, profile = _to_srgb(image, profile), None
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La") or (
        image.mode in ("P", "PA") and _palette_is_grey(image) and (not profile or profile[16:20] == b"GRAY")
    )
    samples = np.asarray(image.convert("RGBA" if transparent else "RGB"), np.float32) / 255
    return Picture(
        rgb=np.ascontiguousarray(samples[..., :3]),
        alpha=np.ascontiguousarray(samples[..., 3]) if transparent else None,
        grey=grey,
        icc_profile=profile,
    )


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB" or (profile and image.mode == "CMYK"):
        source = (
            ImageCms.createProfile("LAB")
            if image.mode == "LAB"
            else ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        )
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        if converted is not None:
            return converted
    return image.convert("RGB")


def _palette_is_grey(image: Image.Image) -> bool:
    colours = np.asarray(image.convert("RGB").getcolors(256 * 256) or [], dtype=object)
    return all(r == g == b for _, (r, g, b) in colours)


def _xmp_options(format: str, provenance: Provenance) -> dict[str, Any]:
    packet = provenance.to_xmp()
    if format == "png":
        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
        return {"pnginfo": chunks}
    return {"tiffinfo": {700: packet}} if format == "tiff" else {"xmp": packet}


def _encode_deep(
    samples: NDArray[Any], format: str, profile: bytes | None, provenance: Provenance | None = None
) -> bytes:
    pyvips = _vips()
    image = pyvips.Image.new_from_array(samples)
    image = image.copy(interpretation="grey16" if samples.shape[2] < 3 else "rgb16")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if provenance is not None:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", provenance.to_xmp())
    options: dict[str, Any] = {"bitdepth": 16}
    if format == "tiff":
        options = {"compression": "deflate", "bigtiff": samples.nbytes > _CLASSIC_TIFF}
    return bytes(image.write_to_buffer(f".{'tif' if format == 'tiff' else 'png'}", **options))


def fill_transparent(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let visible colours flow into transparent parts, so that upscaling mixes no hidden colour into an edge.

    A pyramid of premultiplied colours is reduced until it is one pixel, then filled in from coarse to fine.

    Args:
        rgb: ``(H, W, 3)`` straight colours.
        alpha: ``(H, W)``.

    Returns:
        ``(H, W, 3)``; unchanged where ``alpha`` is 1.
    """
    height, width = alpha.shape
    weight = alpha[..., None]
    if height == width == 1:
        return rgb
    even = ((0, height % 2), (0, width % 2), (0, 0))
    shape = ((height + 1) // 2, 2, (width + 1) // 2, 2, -1)
    colours = np.pad(rgb * weight, even).reshape(shape).sum((1, 3))
    weights = np.pad(weight, even).reshape(shape).sum((1, 3))
    coarse = (colours / np.maximum(weights, 1e-6)).astype(np.float32)
    filled = fill_transparent(coarse, np.minimum(weights[..., 0], 1).astype(np.float32))
    below = filled.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.asarray(weight * rgb + (1 - weight) * below, np.float32)
