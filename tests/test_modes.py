from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from srspace import modes
from srspace.config import SamplingConfig
from srspace.errors import UsageError
from srspace.modes import Mode, Parameter
from srspace.upscaler import Upscaler
from tests.benchmark import toy_mode
from tests.networks import small_flow
from tests.toy import ToyModel, smooth

TOY = '''
"""A mode in one file: the darkest candidate at every pixel, lightened."""

import torch
from srspace.modes import Mode, Parameter, register

register(Mode(
    "darkest", "the darkest candidate at every pixel", "toy_mode:make", samples=3, stacked=True,
    parameters=(Parameter("lighten", 0.0, 0.0, 1.0, "added to every value"),),
))

class Darkest:
    def __init__(self, lighten):
        self.lighten, self.lowest = lighten, None

    def add(self, indices, images):
        # A candidate that is zero everywhere is broken; its replacement follows.
        images = images[images.flatten(1).any(1)]
        self.lowest = torch.cat([images] + ([] if self.lowest is None else [self.lowest[None]])).amin(0)

    def result(self):
        return (self.lowest + self.lighten).clamp_(0, 1)

def make(count, inputs, network, *, lighten):
    return Darkest(lighten)
'''


def test_a_mode_is_added_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "toy_mode.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(modes, "_registered", {})
    import toy_mode  # noqa: F401

    assert "darkest" in modes.every() and modes.find("darkest").count(None) == 3
    upscaler = Upscaler(small_flow(), device="cpu", precision="fp32")
    upscaler.prepared = ToyModel()  # type: ignore[assignment]
    seen: dict[int, torch.Tensor] = {}
    lr = smooth(20, 24)
    image, _ = upscaler.collapse(lr, mode="darkest", on_candidate=seen.__setitem__)
    assert len(seen) == 3 and torch.equal(image, torch.stack(list(seen.values())).amin(0))
    tiled, _ = upscaler.collapse(lr, mode="darkest", sampling=SamplingConfig(tile=16), lighten=0.25)
    assert torch.allclose(tiled, (image + 0.25).clamp(0, 1), atol=1e-6)
    with pytest.raises(UsageError, match="lighten must lie between 0 and 1"):
        upscaler.check("darkest", lighten=2.0)
    sys.modules.pop("toy_mode")


def test_a_mode_decides_how_many_candidates_it_draws():
    free, fixed = Mode("a", "", "m:f", samples=7), Mode("b", "", "m:f", samples=0, fixed=True)
    assert [free.count(wanted) for wanted in (None, 3)] == [7, 3] and free.draws
    assert [fixed.count(wanted) for wanted in (None, 3)] == [0, 0] and not fixed.draws


def test_parameters_have_defaults_and_bounds():
    mode = Mode("a", "", "m:f", parameters=(Parameter("x", 0.5, 0, 1, ""), Parameter("y", 2, 1, 3, "")))
    assert mode.settings({"y": 3}) == {"x": 0.5, "y": 3}
    with pytest.raises(UsageError, match="has no z"):
        mode.settings({"z": 1})
    with pytest.raises(UsageError, match="x must lie between 0 and 1, not 2"):
        mode.settings({"x": 2})


def test_an_unknown_mode_is_told_with_what_was_meant():
    with pytest.raises(UsageError, match=r"not 'medain' \(did you mean median\?\)"):
        modes.find("medain")
    assert modes.find(modes.DEFAULT).name == modes.DEFAULT


def test_every_built_in_mode_names_a_maker_that_is_there():
    for mode in modes._BUILT_IN:
        maker = mode.sink(2)
        assert maker.count == 2 and maker.stacked == mode.stacked


def test_listing_modes_loads_no_torch():
    code = "import sys; from srspace import modes; print(len(modes.every()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(modes.every())), "False"]


@pytest.mark.parametrize("part", ["sampling", "collapse", "models", "upscaler.py", "config.py"])
def test_no_other_module_knows_the_modes_names(part: str):
    root = Path(modes.__file__).parent / part
    names = "|".join(map(re.escape, (mode.name for mode in modes._BUILT_IN)))
    for path in [root] if root.is_file() else root.rglob("*.py"):
        found = re.findall(rf"[\"'](?:{names})[\"']", path.read_text(encoding="utf-8").split("__all__ =")[0])
        assert not found, f"{path} names {found}"


def test_another_packages_mistake_does_not_take_the_modes_along(caplog: pytest.LogCaptureFixture):
    broken = EntryPoint("broken", "srspace_no_such_package:MODES", modes.ENTRY_POINTS)
    good = EntryPoint("good", "tests.benchmark.toy_mode:DIAL", modes.ENTRY_POINTS)
    assert [mode.name for mode in modes._modes([broken, good])] == [toy_mode.DIAL.name]
    assert "srspace_no_such_package" in caplog.text
