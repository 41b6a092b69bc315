"""Where a child computes, and with which number format.

Belongs here: choosing and describing the device. Does not belong here: what runs on it.
"""

from __future__ import annotations

from typing import NamedTuple


class Device(NamedTuple):
    """`kind` is cuda or cpu; `memory_gib` is the accelerator's, 0 for a CPU; `dtype` that of matrix products."""

    kind: str
    name: str
    memory_gib: float
    dtype: str


def pick_device(dtype: str = "auto") -> Device:
    """Take CUDA where there is one, else the CPU; `auto` is bfloat16 on the former, float32 on the latter.

    A processor without bfloat16 units multiplies it several times slower than float32, so on a CPU it has to be asked for.
    """
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        chosen = "bfloat16" if dtype == "auto" else dtype
        return Device("cuda", properties.name, round(properties.total_memory / 2**30, 1), chosen)
    return Device("cpu", _name_processor(), 0.0, "float32" if dtype == "auto" else dtype)


def _name_processor() -> str:
    import platform
    from pathlib import Path

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
