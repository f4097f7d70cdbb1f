"""Results to report on: those of the paper's Table 1, and any that a test makes up."""

from __future__ import annotations

import numpy as np

from srspace.benchmark import Record, Results

# PSNR and LPIPS of the paper's Table 1.
TABLE_1 = {
    "rrdb": ("rrdb", 29.102, 0.3050),
    "sample:10@0.1": ("sample tau 0.1", 29.269, 0.2805),
    "sample:10@0.5": ("sample tau 0.5", 28.929, 0.2531),
    "sample:10@0.9": ("sample tau 0.9", 27.355, 0.2534),
    "mean:5@0.9": ("mean 5", 28.882, 0.2378),
    "mean:25@0.9": ("mean 25", 29.269, 0.2615),
    "median:5@0.9": ("median 5", 28.721, 0.2399),
    "median:25@0.9": ("median 25", 29.222, 0.2564),
    "fusion-l1:10@0.9": ("fusion-l1", 29.249, 0.2833),
    "fusion-lpips:10@0.9": ("fusion-lpips", 28.281, 0.2151),
    "compare:ESRGAN+": ("ESRGAN+", 26.001, 0.2425),
}


def results(rows: dict[str, dict[str, dict[str, float]]], **changes: object) -> Results:
    """Results from scores by row, image and metric; LPIPS is that of vgg."""
    records = [
        Record(f"{row}/{image}", "set", image, row, scores, settings={"hr": image})
        for row, images in rows.items()
        for image, scores in images.items()
    ]
    names = list(dict.fromkeys(r.image for r in records))
    values: dict[str, object] = {
        "dataset": "set",
        "scale": 4,
        "images": names,
        "rows": [(row, TABLE_1.get(row, (row,))[0]) for row in rows],
        "metrics": ["psnr", "lpips", "niqe", "seconds"],
        "lpips_net": "vgg",
        "protocol": "paper",
        "rules": "the rules",
        "seed": 0,
        "weights": "w",
        "device": "cpu",
        "precision": "fp32",
        "made_lr": False,
        "records": records,
    }
    return Results(**(values | changes))  # type: ignore[arg-type]


def table_1(spread: float = 0.0) -> Results:
    """Table 1, with two images either side of each mean, and the samples' candidates around them."""
    generator = np.random.default_rng(0)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for row, (_, psnr, lpips) in TABLE_1.items():
        rows[row] = {
            f"i{k}": {"psnr": psnr + sign * 2, "lpips-vgg": lpips + sign * 0.05, "seconds": 1.0}
            for k, sign in enumerate((-1, 1))
        }
    made = results(rows)
    if not spread:
        return made
    records = []
    for record in made.records:
        candidates = {}
        if record.row.startswith("sample"):
            for key, sd in (("psnr", spread), ("lpips-vgg", spread / 30)):
                candidates[key] = (record.values[key] + generator.normal(0, sd, 10)).tolist()
        records.append(Record(**{**record.__dict__, "candidates": candidates}))
    return Results(**{**{k: v for k, v in made.__dict__.items() if not k.startswith("_")}, "records": records})
