"""Write a software bill of materials (CycloneDX, JSON): what is installed in an environment, and what srspace bundles.

    python .ci/sbom.py sbom.json [--python VENV/bin/python]

Installed packages, with their licences, are told by cyclonedx-py. Added are the weights with their checksums and the
scripts that pages carry.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "srspace" / "report" / "page" / "vendor"


def bundled() -> list[dict[str, Any]]:
    """Components that no package manager knows of."""
    return [*_weights(), *_scripts()]


def _weights() -> list[dict[str, Any]]:
    catalogue = tomllib.loads((ROOT / "weights" / "catalog.toml").read_text(encoding="utf-8"))
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"weights:{name}",
            "name": name,
            "description": f"{entry['description']} Trained on: {entry['training_data']}.",
            "licenses": [{"license": {"id": entry["licence"]}}],
            "hashes": [{"alg": "SHA-256", "content": f["sha256"]} for f in entry["files"] if "model" in f["path"]],
            "externalReferences": [{"type": "documentation", "url": "weights/SOURCES.md"}],
        }
        for name, entry in catalogue.items()
    ]


def _scripts() -> list[dict[str, Any]]:
    table = (VENDOR / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| \[([^\]]+)\]\([^)]+\) \| ([\d.]+) \| (\S+) \|$", table, re.MULTILINE)
    return [
        {
            "type": "library",
            "bom-ref": f"npm:{package}",
            "name": package,
            "version": version,
            "purl": f"pkg:npm/{package}@{version}",
            "licenses": [{"license": {"id": licence}}],
            "hashes": [{"alg": "SHA-256", "content": _sha256(VENDOR / folder / "index.js")}],
        }
        for folder, package, version, licence in rows
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _installed(python: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    command += ["--spec-version", "1.6", "--no-validate", "--of", "JSON", "-o", "-", python]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"cyclonedx-py failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment [this one]")
    arguments = parser.parse_args()
    bom = _installed(arguments.python)
    # Checking all of it would take a minute; cyclonedx-py's part is valid by construction.
    ours = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": bundled()}
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(ours))
    if problem is not None:
        raise SystemExit(f"the bill of materials is not valid: {problem}")
    bom["components"] = [*bom.get("components", []), *bundled()]
    arguments.out.write_text(json.dumps(bom, indent=2), encoding="utf-8")
    print(f"{arguments.out}: {len(bom['components'])} components, {len(bundled())} of them bundled")


if __name__ == "__main__":
    main()
