"""Realistic damage to pictures, batched on the device.

Each kind is a function of images and one value per image of each of its parameters, in a module of its own;
:func:`kinds` gives them with the ranges they are drawn from, and :class:`Degradation` puts them in order.
"""

from srspace.data.degrade.config import DegradeConfig
from srspace.data.degrade.damage import Damage
from srspace.data.degrade.kinds import kinds
from srspace.data.degrade.pipeline import Degradation
from srspace.data.degrade.stages import Record

__all__ = ["Damage", "Degradation", "DegradeConfig", "Record", "kinds"]
