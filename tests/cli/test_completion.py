"""What the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from srspace import modes
from srspace.config import AUTO_WEIGHTS, DEFAULT_WEIGHTS, PRECISIONS
from srspace.data.catalog import load_catalog
from srspace.images import writable
from srspace.metrics import every
from tests.cli.tree import NODES, context


def completions(path: str, name: str, incomplete: str = "") -> list[str]:
    """What the shell offers for an option or argument."""
    parameter = next(p for p in NODES[path].params if name in (p.name, *p.opts))
    return [item.value for item in parameter.shell_complete(context(path), incomplete)]


def test_a_shell_is_answered():
    environment = os.environ | {
        "_SRSPACE_COMPLETE": "complete_bash",
        "COMP_WORDS": "srspace upscale --mode fus",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv = ['srspace']; from srspace.__main__ import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["fusion-l1", "fusion-lpips"]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("upscale", "--mode", (*modes.every(), "model")),
        ("upscale", "--precision", PRECISIONS),
        ("upscale", "--latents", ("independent", "antithetic")),
        ("upscale", "--format", writable()),
        ("bench run", "dataset", load_catalog()),
        ("bench run", "--metrics", ("all", *every())),
        ("bench run", "--protocol", ("paper", "y-channel")),
        ("bench run", "--lpips-net", ("vgg", "alex", "squeeze")),
        ("train encoder", "--schedule", ("cosine", "steps", "constant")),
        ("train fusion", "--lpips-net", ("alex", "squeeze", "vgg")),
    ],
)
def test_names_are_completed(path: str, name: str, expected: object):
    assert completions(path, name) == list(expected)


def test_weights_are_completed_by_kind():
    assert completions("upscale", "--weights")[:2] == [AUTO_WEIGHTS, DEFAULT_WEIGHTS]
    assert completions("upscale", "--weights", "au") == [AUTO_WEIGHTS]
    assert completions("bench run", "--weights")[0] == DEFAULT_WEIGHTS
    assert completions("upscale", "--fusion", "fusion-lpips-s") == ["fusion-lpips-stack-x4-lite"]
    assert {DEFAULT_WEIGHTS, "fusion-l1-x4-lite"} <= set(completions("weights info", "name"))
    assert completions("train flow", "--from", "srf")[0] == DEFAULT_WEIGHTS
    assert "flow-5-perceptual" in completions("train flow", "--recipe", "flow-5")
    assert completions("data pull", "name", "lpips-v") == ["lpips-vgg"]


def test_the_last_of_a_list_is_completed():
    assert completions("bench run", "--metrics", "psnr,lpi") == ["psnr,lpips"]
    assert completions("bench run", "--rows", "rrdb,fusion-l") == ["rrdb,fusion-l1", "rrdb,fusion-lpips"]
