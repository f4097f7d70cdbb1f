"""The man page says what the help pages say."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from srspace.cli.manual import manual
from tests.cli.tree import COMMANDS, every_option

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "srspace" / "cli" / "srspace.1"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == manual(), "run: python -m srspace.cli.manual srspace/cli/srspace.1"


def test_every_command_and_option_is_explained():
    text = manual().replace("\\-", "-")
    for path in COMMANDS:
        assert f".SS srspace {path} " in text or f".SS srspace {path}\n" in text
        part = text.split(f".SS srspace {path} ")[-1].split("\n.S")[0]
        for option in every_option(path):
            if option.name != "help":
                names = (*option.opts, *option.secondary_opts)
                assert all(f"\\fB{name}\\fR" in part for name in names), (path, option.name)


def test_the_wheel_installs_it_where_man_looks():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"srspace/cli/srspace.1": "share/man/man1/srspace.1"}


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_troff_understands_it():
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", str(PAGE)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "--fusion" in shown and "\\" not in shown
