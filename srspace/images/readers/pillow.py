"""Pillow's part: everything of 8 bits a sample or less, and 16-bit grey."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms, ImageOps

from srspace.images.readers.decoded import Decoded, unsupported_samples


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether an opened PNG or TIFF holds more than Pillow would keep of it."""
    if image.format == "PNG":
        return data[24] == 16
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return False


def read(image: Image.Image) -> Decoded:
    """Samples of an opened picture; CMYK and Lab become sRGB.

    Raises:
        UnsupportedError: its samples are no 8 or 16 bit integers.
    """
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F"):
        raise unsupported_samples("int" if image.mode == "I" else "float")
    if image.mode.startswith("I;16"):
        return Decoded(np.asarray(image, np.uint16)[..., None], 65535, profile)
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        image, profile = _to_srgb(image, profile), None
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La") or (
        image.mode in ("P", "PA") and _palette_is_grey(image) and (not profile or profile[16:20] == b"GRAY")
    )
    samples = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    return Decoded(samples[..., (0, -1) if transparent else (0,)] if grey else samples, icc_profile=profile)


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
