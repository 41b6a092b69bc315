"""Sandboxes for tests: of each tier that this machine offers, with short times."""

from __future__ import annotations

from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.sandbox.launch import find_bubblewrap

SHORT = SandboxSpec(minimum="confined", cpu_s=1, wall_s=2)
TIERS = ("confined", "namespaces") if find_bubblewrap() else ("confined",)
