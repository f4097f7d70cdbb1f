"""The networks, built from configurations."""

from srspace.models.build import build
from srspace.models.fusion import FusionNet
from srspace.models.inference import PreparedSRFlow
from srspace.models.rrdb import RRDBFeatures, RRDBNet
from srspace.models.srflow import SRFlow

__all__ = ["FusionNet", "PreparedSRFlow", "RRDBFeatures", "RRDBNet", "SRFlow", "build"]
