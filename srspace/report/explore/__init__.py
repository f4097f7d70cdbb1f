"""The SR space of one picture in one page: what every mode makes of the same candidates, and where these differ."""

from srspace.report.explore.gather import gather
from srspace.report.explore.page import to_html
from srspace.report.explore.settings import Crop, ExploreSettings
from srspace.report.explore.space import Shown, Space
from srspace.report.explore.variants import load_upscaler, settled

__all__ = ["Crop", "ExploreSettings", "Shown", "Space", "gather", "load_upscaler", "settled", "to_html"]
