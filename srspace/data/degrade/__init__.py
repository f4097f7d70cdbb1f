"""Realistic damage to pictures, batched on the device.

Each kind is a function of images and of one value per image of each of its parameters, in a module of its own.
:func:`kinds` gives them with the ranges they are drawn from, :class:`Degradation` puts them in order, and
:func:`describe` says what an image has met.
"""

from srspace.data.degrade.config import DegradeConfig
from srspace.data.degrade.damage import Damage
from srspace.data.degrade.describe import describe
from srspace.data.degrade.kinds import kinds
from srspace.data.degrade.pipeline import SMALLEST, Degradation
from srspace.data.degrade.stages import Record

__all__ = ["SMALLEST", "Damage", "Degradation", "DegradeConfig", "Record", "describe", "kinds"]
