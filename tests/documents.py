"""What the documentation shows: code blocks, commands, tables, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BATCH = ROOT / "srspace" / "batch" / "README.md"
BENCHMARK = ROOT / "srspace" / "benchmark" / "README.md"
TRAINING = ROOT / "srspace" / "training" / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "srspace").rglob("README.md")), ROOT / "examples" / "README.md"]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def spans(text: str) -> list[str]:
    """Code inside of sentences and tables."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every ``srspace`` in a shell block."""
    for block in blocks(text, "sh"):
        for line in block.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, "|"]:
                if re.fullmatch(r"[|&<>]+", word):
                    yield from _arguments(words)
                    words = []
                else:
                    words.append(word)


def _arguments(words: list[str]) -> Iterator[list[str]]:
    names = [i for i, word in enumerate(words) if Path(word).name == "srspace"]
    if names and (names[0] == 0 or words[names[0] - 1] == "-m"):
        yield words[names[0] + 1 :]


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next of its level."""
    level = heading.split()[0]
    return re.split(rf"^{level} ", text.split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The first cells of all tables' rows."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip() for row in rows if not row.startswith("| ---")]


def anchors(text: str) -> set[str]:
    """What links can point to inside of a document."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
