"""The fault matrix, which is part of the tests: its cases run and counted here.

Belongs here: running the matrix and counting. Does not belong here: a case (tests/clients/test_faults.py).
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from benchmarks.generate.starting import ROOT

PLACES = ("tests/clients/test_faults.py", "tests/fault_matrix")


def measure(root: Path) -> dict[str, Any]:
    """Run the matrix; None where it is not there."""
    found = [place for place in PLACES if (ROOT / place).exists()]
    if not found:
        return {"faults": None, "faults_survived": None}
    report_file = root / "faults.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report_file}", *found]
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    cases = list(ElementTree.parse(report_file).iter("testcase"))
    bad = [case.get("name") for case in cases if any(child.tag in ("failure", "error", "skipped") for child in case)]
    return {"faults": len(cases), "faults_survived": len(cases) - len(bad), "not_survived": bad}


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    if figures["faults"] is None:
        return "no fault matrix here"
    return f"{figures['faults_survived']} of {figures['faults']} cases survived"
