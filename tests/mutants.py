"""Break the promises of srspace one at a time, in a copy of the tree, and tell which ones no test notices.

    python tests/mutants.py             # every mutation in tests/mutations.toml
    python tests/mutants.py --quick     # the few that CI tries
    python tests/mutants.py median      # those whose promise or file holds the word

Exits with 1 if a mutation survives or no longer applies: its text must occur exactly once in its file. A mutation is
caught when a test fails; tests that cannot even be collected catch nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("mutations.toml")
_SECONDS = 300
_LEFT_BEHIND = (
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    ".carry",
    "build",
    "dist",
    "runs",
    "*.egg-info",
    "__pycache__",
)


@dataclass(frozen=True)
class Mutation:
    """A promise, and an edit that breaks it.

    Attributes:
        promise: what holds as long as the edit is not made.
        file: the file edited, from the root of the tree.
        text: what is replaced there; it occurs once.
        replacement: what takes its place.
        tests: what of the suite must notice, as pytest takes it.
        quick: whether CI tries it.
        needs: a package without which its tests are skipped, or nothing; it is passed over where that is missing.
    """

    promise: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    quick: bool = False
    needs: str = ""

    def applied_to(self, source: str) -> str:
        """The file's content after the edit.

        Raises:
            ValueError: the text does not occur exactly once.
        """
        found = source.count(self.text)
        if found != 1:
            raise ValueError(f"the text occurs {found} times in {self.file}")
        return source.replace(self.text, self.replacement)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation: ``"caught"``, ``"SURVIVED"`` or ``"BROKEN"``, the details, and how long it took."""

    word: str
    details: str
    seconds: float = 0.0


def read_mutations(path: Path = LIST) -> list[Mutation]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in table["mutation"]]


class Tree:
    """A copy of a tree, in a folder of its own, to break things in."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.root = folder / source.name
        shutil.copytree(source, self.root, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
        # Tests look for data beside the tree.
        if (shared := source.parent / "shared").is_dir():
            (folder / "shared").symlink_to(shared)

    def test(self, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    def judge(self, mutation: Mutation) -> Verdict:
        start = time.monotonic()
        try:
            with self._broken(mutation):
                done = self.test(mutation.tests)
        except (ValueError, subprocess.TimeoutExpired) as error:
            return Verdict("BROKEN", str(error))
        failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
        seconds = time.monotonic() - start
        if done.returncode == 0:
            return Verdict("SURVIVED", " ".join(mutation.tests), seconds)
        if done.returncode != 1 or failed is None:
            last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
            return Verdict("BROKEN", f"pytest exits with {done.returncode}: {''.join(last)}", seconds)
        return Verdict("caught", failed[1].removeprefix("tests/"), seconds)

    @contextmanager
    def _broken(self, mutation: Mutation) -> Iterator[None]:
        path = self.root / mutation.file
        source = path.read_text(encoding="utf-8")
        _rewrite(path, mutation.applied_to(source))
        try:
            yield
        finally:
            _rewrite(path, source)


def _rewrite(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")
    # Python tells stale bytecode by size and whole seconds.
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def judge_all(
    mutations: list[Mutation], report: Callable[[Mutation, Verdict], None], *, source: Path = ROOT, jobs: int = 1
) -> list[Verdict]:
    """Try every mutation of a tree, ``jobs`` at a time, each in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="srspace-mutants-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for k in range(jobs):
            (place := Path(folder, str(k))).mkdir()
            trees.put(Tree(source, place))

        def judged(mutation: Mutation) -> Verdict:
            tree = trees.get()
            try:
                verdict = tree.judge(mutation)
            finally:
                trees.put(tree)
            report(mutation, verdict)
            return verdict

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(judged, mutations))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="try the mutations whose promise or file holds one of these")
    parser.add_argument("--quick", action="store_true", help="try those that CI tries")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="at a time [%(default)s]")
    given = parser.parse_args()
    chosen = [
        m for m in read_mutations()
        if (m.quick or not given.quick) and (not given.words or any(w in m.promise + m.file for w in given.words))
        and (not m.needs or find_spec(m.needs) is not None)
    ]  # fmt: skip

    def report(mutation: Mutation, verdict: Verdict) -> None:
        print(f"{verdict.word:<9} {mutation.promise}  [{verdict.details}, {verdict.seconds:.1f} s]", flush=True)

    words = [verdict.word for verdict in judge_all(chosen, report, jobs=max(1, given.jobs))]
    print(f"{words.count('caught')} caught, {words.count('SURVIVED')} survived, {words.count('BROKEN')} do not apply")
    return 0 if words and words.count("caught") == len(words) else 1


if __name__ == "__main__":
    sys.exit(main())
