"""Candidates of the SR space: seeded latents, tiles, the guard that checks candidates, and the loop that draws them."""

from srspace.sampling.latents import draw_latents
from srspace.sampling.plan import Plan
from srspace.sampling.redraws import Redraw, Redraws
from srspace.sampling.sampler import GroupSampler, Sampler, Station
from srspace.sampling.tiles import MARGIN, Tile, plan_tiles

__all__ = [
    "MARGIN", "GroupSampler", "Plan", "Redraw", "Redraws", "Sampler", "Station", "Tile", "draw_latents", "plan_tiles",
]  # fmt: skip
