"""What the command line makes of an error: its exit code, and which of its options would help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from srspace.errors import (
    AgreementError,
    AnimationError,
    CandidateExistsError,
    CheckpointError,
    DataSetMissingError,
    DeviceMemoryError,
    EarlierResultsError,
    FewCandidatesError,
    MemoryLimitError,
    MetricWeightsError,
    NoFlowError,
    NoFusionError,
    NoPictureError,
    NoRecordsError,
    NotAFileError,
    OtherResultError,
    PictureSizeError,
    ReplacedInputError,
    SeveralLrFoldersError,
    SharedTargetError,
    SRSpaceError,
    StackSizeError,
    TerminalError,
    TokenError,
    UsageError,
    WeightsError,
)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WEIGHTS = 3
EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_EXIT_CODES: dict[type[SRSpaceError], int] = {
    UsageError: EXIT_USAGE,
    CheckpointError: EXIT_WEIGHTS,
    WeightsError: EXIT_WEIGHTS,
}

_ADVICE: dict[type[SRSpaceError], Callable[[Any], str]] = {
    NoPictureError: lambda e: "" if e.recursive else "To search folders inside it, use --recursive.",
    EarlierResultsError: lambda e: "To upscale them again, name them one by one, or give another folder with -o.",
    SharedTargetError: lambda e: "Keep them apart with --recursive, --format, another folder or separate runs.",
    ReplacedInputError: lambda e: "Use --suffix or -o.",
    TokenError: lambda e: "Set one with SRSPACE_TOKEN or --token.",
    TerminalError: lambda e: "Redirect standard output or use -o.",
    CandidateExistsError: lambda e: "Name another folder with --save-samples, or use --overwrite.",
    StackSizeError: lambda e: f"Use -n {e.size} or a multiple of it.",
    FewCandidatesError: lambda e: f"Use {'another --mode' if e.fixed else '-n 10'}.",
    AgreementError: lambda e: "Try --consistency, a lower --balance or another --mode.",
    OtherResultError: lambda e: "Name another folder with -o, or use --overwrite.",
    NotAFileError: lambda e: "To write to a pipe, use -o -.",
    AnimationError: lambda e: "Use --first-frame for the first frame alone.",
    PictureSizeError: lambda e: "Use --format png or tiff.",
    DeviceMemoryError: lambda e: "Try --max-memory or a smaller --tile.",
    MemoryLimitError: lambda e: "Raise --max-memory.",
    DataSetMissingError: lambda e: f"Or run 'srspace data pull {e.name}' with a network.",
    MetricWeightsError: lambda e: f"Run 'srspace data pull {e.weights}' with a network.",
    SeveralLrFoldersError: lambda e: "Choose one with --lr.",
    NoRecordsError: lambda e: "Name one with --jsonl.",
    NoFlowError: lambda e: "Name the flow with --weights.",
    NoFusionError: lambda e: f"Name one with --fusion{f', such as {e.others[0]}' if e.others else ''}.",
}


def exit_code(error: SRSpaceError) -> int:
    """The exit code of a command that ends in ``error``."""
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), EXIT_FAILED)


def in_words(error: SRSpaceError) -> str:
    """The error's message and, where an option would help, a sentence that names it."""
    advice = next((words(error) for kind, words in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error} {advice}" if advice else str(error)
