"""Assessing pictures: which family of weights suits one, told from its pixels alone, and why."""

from __future__ import annotations

from srspace.assessment.assessment import Assessment
from srspace.assessment.assessor import assess, load_assessor
from srspace.assessment.choice import Choice, choose

__all__ = ["Assessment", "Choice", "assess", "choose", "load_assessor"]
