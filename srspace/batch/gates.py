"""What a result must be like to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srspace.errors import AgreementError

if TYPE_CHECKING:
    from srspace.upscaler import UpscaleResult


def check_agreement(name: str, result: UpscaleResult, least: float | None) -> None:
    """Whether a result agrees with its input well enough.

    Args:
        name: what to call the input.
        result: of it, before it is rounded for a file.
        least: LR-PSNR asked for, in dB (None: any will do).

    Raises:
        AgreementError: it does not.
    """
    if least is not None and (result.lr_psnr is None or not result.lr_psnr >= least):
        raise AgreementError(name, float("nan") if result.lr_psnr is None else result.lr_psnr, least)
