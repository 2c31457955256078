"""Where figures come from, kept beside them: without that a number can't be compared with a later one."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def provenance() -> dict[str, Any]:
    """When, which commit (with "-dirty" if the tree was changed), and on what machine."""
    return {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "python": platform.python_version(),
        "kernel": platform.release().split("-")[0],
        "cores": len(os.sched_getaffinity(0)),
    }


def commit() -> str:
    """`git describe` of the tree, or "unknown" outside a checkout."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
