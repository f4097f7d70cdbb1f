"""Candidates of the SR space: their latents, the tiles they are decoded in, and the guard that checks them."""

from srspace.sampling.sampler import Candidate, Redraw, Sampler, Sink, draw_latents, plan_tiles, sample

__all__ = ["Candidate", "Redraw", "Sampler", "Sink", "draw_latents", "plan_tiles", "sample"]
