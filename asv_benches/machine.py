"""What the tables say of the machine that they were measured on."""

import os
import platform
from pathlib import Path


def processor():
    """Return what the processor calls itself, and how many of it there are."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} x {name}"


def available_memory():
    """Return the bytes of memory that programs may still take, infinity where nobody says."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return float("inf")
