"""The networks: RRDB encoder, flow and fusion networks, as they are trained and prepared for inference."""

from srspace.models.assessor import Assessor
from srspace.models.build import build
from srspace.models.dial import DialFusion
from srspace.models.fusion import Fusion, FusionNet, SetFusionNet
from srspace.models.inference import PreparedSRFlow, prepared
from srspace.models.rrdb import RRDBFeatures, RRDBNet
from srspace.models.srflow import SRFlow

__all__ = [
    "Assessor",
    "DialFusion",
    "Fusion",
    "FusionNet",
    "PreparedSRFlow",
    "RRDBFeatures",
    "RRDBNet",
    "SRFlow",
    "SetFusionNet",
    "build",
    "prepared",
]
