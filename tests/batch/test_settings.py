from __future__ import annotations

import pickle
from dataclasses import fields

import pytest

from srspace.batch import BatchSettings
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.modes import Mode, Parameter

TOY = Mode("toy", "a mode of a test", "nowhere:make", samples=3, parameters=(Parameter("strength", 0.5, 0, 1, "How."),))


def test_settings_go_to_other_processes():
    settings = BatchSettings(
        mode=TOY, parameters={"strength": 0.25}, sampling=SamplingConfig(seed=7), output="out/", format="png"
    )
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(AttributeError):
        settings.mode = "mean"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "median", "fusion": "x"}, "the mode median uses no fusion network"),
        ({"mode": "rrdb", "save_samples": "s"}, "draws no candidates"),
        ({"mode": "meen"}, "did you mean mean"),
        ({"format": "bmp"}, "must be one of png"),
        ({"parameters": {"strength": 1}}, "the mode dial has no strength"),
        ({"mode": TOY, "parameters": {"strength": 2}}, "must lie between 0 and 1"),
    ],
)
def test_settings_that_cannot_be_met_are_refused_at_once(given: dict, words: str):
    with pytest.raises(UsageError, match=words):
        BatchSettings(**given)


@pytest.mark.parametrize(("mode", "samples"), [("mean", 4), ("sample", 1), ("rrdb", 0), (TOY, 4)])
def test_the_mode_has_the_last_word_on_the_number_of_candidates(mode: str | Mode, samples: int):
    assert BatchSettings(mode=mode, sampling=SamplingConfig(samples=4)).samples == samples


def test_a_format_goes_by_its_usual_name():
    assert BatchSettings(format="JPG") == BatchSettings(format="jpeg")


def test_every_setting_is_documented():
    assert BatchSettings.__doc__ is not None
    assert all(f"        {field.name}: " in BatchSettings.__doc__ for field in fields(BatchSettings))
