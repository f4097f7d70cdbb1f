"""A benchmark in one HTML page: a table that sorts, the plane, and the pictures that come out best and worst."""

from srspace.report.summary.examples import Crop, Example, examples
from srspace.report.summary.page import to_html

__all__ = ["Crop", "Example", "examples", "to_html"]
