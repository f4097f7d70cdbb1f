"""The conditional normalizing flow: a module for each kind of layer, and the decoder that inference uses."""

from srspace.models.flow.actnorm import ActNorm2d
from srspace.models.flow.coupling import ConditionalAffineCoupling, CouplingCondition
from srspace.models.flow.decoder import DecoderConditions, FlowDecoder
from srspace.models.flow.flow import ConditionalFlow, FlowConditions, latent_shapes, standard_normal_log_prob
from srspace.models.flow.permutation import InvertibleConv1x1
from srspace.models.flow.reshape import Split2d, Squeeze2d
from srspace.models.flow.step import FlowStep

__all__ = [
    "ActNorm2d",
    "ConditionalAffineCoupling",
    "ConditionalFlow",
    "CouplingCondition",
    "DecoderConditions",
    "FlowConditions",
    "FlowDecoder",
    "FlowStep",
    "InvertibleConv1x1",
    "Split2d",
    "Squeeze2d",
    "latent_shapes",
    "standard_normal_log_prob",
]
