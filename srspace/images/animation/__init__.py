"""Animations: GIF, APNG and WebP, read and written frame by frame."""

from srspace.images.animation.reading import Animation, is_animated, is_animated_file, read_animation
from srspace.images.animation.steady import Steady
from srspace.images.animation.writing import AnimationWriter, holds_animations
from srspace.images.timing import Timing

__all__ = [
    "Animation",
    "AnimationWriter",
    "Steady",
    "Timing",
    "holds_animations",
    "is_animated",
    "is_animated_file",
    "read_animation",
]
