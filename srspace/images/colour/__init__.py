"""Colour: how a picture's numbers are meant, and bringing that into files that tell it in other ways."""

from srspace.images.colour.description import Cicp, Colour

__all__ = ["Cicp", "Colour"]
