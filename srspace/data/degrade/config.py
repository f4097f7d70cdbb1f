"""How often each kind of damage occurs, and how strong it is."""

from __future__ import annotations

from dataclasses import dataclass, fields

Range = tuple[float, float]
_ALTERNATIVES = {"blur_kinds": 6, "kernels": 5, "noise_colours": 3, "jpeg_subsamplings": 3}


@dataclass(frozen=True)
class DegradeConfig:
    """Shares are of the images of a batch, in [0, 1]; they are met in the mean over batches of any size.

    Damage to different stages is drawn independently, so that an image meets several kinds, or hardly any.

    Attributes:
        scale: reduction of both sides: 2, 4 or 8.
        clean: share left clean: MATLAB's bicubic reduction rounded to 8 bits, nothing else.
        jagged: share reduced without antialiasing, half of it by nearest neighbours, and left alone otherwise.
        blur_kinds: relative shares of no blur, Gaussian, generalised Gaussian, ringing, defocus and motion, before the
            reduction.
        blur_size: standard deviation of the blur in HR pixels; small ones are more frequent.
        blur_ratio: shorter by longer axis of the blur.
        round_blurs: share of blurs with equal axes.
        halftone: share printed with dots before the reduction.
        halftone_period: distance of the dots in HR pixels.
        one_angle: share of these whose screens of all colours have one angle, as newspapers print in black.
        linear_light: share blurred and reduced in linear light, as optics do; these are not reduced in two steps.
        camera: share that passes a camera's sensor; at most ``linear_light``.
        full_well: electrons of a fully exposed pixel; fewer are noisier.
        read_noise: electrons.
        red_gain: white balance of red against green.
        blue_gain: white balance of blue against green.
        kernels: relative shares of box, triangle, cubic (a = -0.5), cubic (a = -0.75) and Lanczos, in each resizing.
        not_antialiased: share of resizings whose kernel is not widened; the box then takes the nearest pixel.
        shifted: share of resizings that sample off the aligned centre, along each axis.
        shift: largest such distance in HR pixels.
        two_steps: share reduced in two steps, compressed between them.
        halfway: share of these whose intermediate side is twice the final one; else it is drawn from ``intermediate``.
        intermediate: intermediate side by final side; below 1, images are enlarged again.
        compressed_between: share of the two-step reductions with JPEG between the steps.
        sharpen_early: share sharpened before noise.
        sharpen: share sharpened after noise.
        sharpen_late: share sharpened after the first compression.
        sharpen_radius: standard deviation of the unsharp mask in LR pixels.
        sharpen_amount: 1 is 100 percent.
        noise: share with noise.
        second_noise: share with noise of a second kind on top.
        noise_strength: standard deviation in 8-bit levels; weak noise is more frequent.
        noise_colours: relative shares of noise per channel, grey, and in chroma alone.
        noise_smooth: blur of the noise in LR pixels, where it is not white.
        white_noise: share of noises that are white.
        old_photo: share with grain, fading and scratches.
        grain: standard deviation in 8-bit levels at middle grey.
        fading: share of colour lost.
        scratches: brightness of scratches in [0, 1].
        palette: share reduced to a palette.
        palette_colours: size of the palette; small ones are rarer.
        dithered: share of these with ordered dithering.
        chroma: share whose colour alone is stored at a lower resolution.
        jpeg: share compressed as JPEG.
        second_jpeg: share compressed as JPEG once more, on another grid.
        webp: share compressed as WebP instead of the first JPEG.
        jpeg_quality: as libjpeg counts it.
        jpeg_subsamplings: relative shares of 4:2:0, 4:2:2 and 4:4:4.
        triangle: share of decoders that interpolate chroma; the others replicate it.
        aligned: share of compressed images that begin with a whole block, along each axis; the others begin anywhere.
        webp_quality: as ``cwebp -q`` counts it.
    """

    scale: int = 4
    clean: float = 0.12
    jagged: float = 0.0
    blur_kinds: tuple[float, ...] = (0.4, 0.33, 0.08, 0.07, 0.06, 0.06)
    blur_size: Range = (0.3, 3.2)
    blur_ratio: Range = (0.3, 1.0)
    round_blurs: float = 0.5
    halftone: float = 0.03
    halftone_period: Range = (4.0, 9.0)
    one_angle: float = 0.4
    linear_light: float = 0.2
    camera: float = 0.14
    full_well: Range = (500.0, 6000.0)
    read_noise: Range = (2.0, 8.0)
    red_gain: Range = (1.3, 2.4)
    blue_gain: Range = (1.2, 2.1)
    kernels: tuple[float, ...] = (0.25, 0.22, 0.25, 0.08, 0.2)
    not_antialiased: float = 0.25
    shifted: float = 0.15
    shift: float = 0.5
    two_steps: float = 0.3
    halfway: float = 0.4
    intermediate: Range = (0.8, 2.5)
    compressed_between: float = 0.6
    sharpen_early: float = 0.1
    sharpen: float = 0.2
    sharpen_late: float = 0.07
    sharpen_radius: Range = (0.5, 2.5)
    sharpen_amount: Range = (0.2, 1.6)
    noise: float = 0.5
    second_noise: float = 0.2
    noise_strength: Range = (0.5, 18.0)
    noise_colours: tuple[float, ...] = (0.45, 0.3, 0.25)
    noise_smooth: Range = (0.4, 1.8)
    white_noise: float = 0.55
    old_photo: float = 0.03
    grain: Range = (3.0, 14.0)
    fading: Range = (0.0, 0.15)
    scratches: Range = (0.0, 0.25)
    palette: float = 0.03
    palette_colours: tuple[int, int] = (16, 256)
    dithered: float = 0.5
    chroma: float = 0.03
    jpeg: float = 0.62
    second_jpeg: float = 0.2
    webp: float = 0.14
    jpeg_quality: tuple[int, int] = (25, 97)
    jpeg_subsamplings: tuple[float, ...] = (0.7, 0.1, 0.2)
    triangle: float = 0.8
    aligned: float = 0.4
    webp_quality: tuple[int, int] = (30, 95)

    def __post_init__(self) -> None:
        if self.scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, not {self.scale}")
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))
        if self.camera > self.linear_light:
            raise ValueError("camera must be at most linear_light: its light is linear")
        if self.linear_light + self.two_steps > 1 or self.jpeg + self.webp > 1:
            raise ValueError("shares that exclude each other must not exceed 1 together")
        if self.intermediate[0] < 0.75:
            raise ValueError(f"intermediate sides must be at least 0.75 of the final ones, not {self.intermediate[0]}")

    def _check(self, name: str, value: float | tuple[float, ...]) -> None:
        if name in _ALTERNATIVES and isinstance(value, tuple):
            if len(value) > _ALTERNATIVES[name] or min(value) < 0 or sum(value) <= 0:
                raise ValueError(f"{name} must give up to {_ALTERNATIVES[name]} shares, not {value}")
        elif isinstance(value, tuple):
            if not 0 <= value[0] <= value[1]:
                raise ValueError(f"{name} must be ascending and not negative, not {value}")
        elif name not in ("scale", "shift") and not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], not {value}")
