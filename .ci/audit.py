"""Look up known vulnerabilities of the pinned packages; where the database cannot be reached, say so and pass."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

PINNED = Path(__file__).parent / "constraints.txt"
DATABASE = "https://pypi.org/pypi/pip/json"
SECONDS = 18


def main() -> int:
    try:
        with urllib.request.urlopen(DATABASE, timeout=4) as answer:
            json.load(answer)
    except (OSError, ValueError) as error:
        print(f"vulnerabilities were not looked up: the database cannot be reached ({error}).")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINNED), "--no-deps", "--disable-pip"]
        command += ["--progress-spinner", "off", "--timeout", "4", "--format", "json", "--output", str(report)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"vulnerabilities were not looked up: the database did not answer within {SECONDS} seconds.")
            return 0
        if not report.is_file():
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"vulnerabilities were not looked up: pip-audit failed ({last}).")
            return 0
        packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    found = [(p["name"], p["version"], v["id"], v["fix_versions"]) for p in packages for v in p.get("vulns", [])]
    for name, version, key, fixed in found:
        print(f"{name} {version} is known to be vulnerable ({key}); fixed in {', '.join(fixed) or 'no version yet'}.")
    print(f"{len(packages)} packages looked up, {len(found)} vulnerabilities found.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
