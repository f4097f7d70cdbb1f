"""Candidates of the SR space: seeded latents, tiles, the guard that checks candidates, and the loop that draws them."""

from srspace.sampling.latents import draw_latents
from srspace.sampling.plan import Plan
from srspace.sampling.redraws import Redraw, Redraws
from srspace.sampling.sampler import GroupSampler, Sampler
from srspace.sampling.tiles import MARGIN, Tile, plan_tiles

__all__ = ["MARGIN", "GroupSampler", "Plan", "Redraw", "Redraws", "Sampler", "Tile", "draw_latents", "plan_tiles"]
