"""What a server knows of its own former run, and says when it registers (R3). Pure.

A disk remembers the broker epoch that was granted last, in which boot of the machine that was, and whether everything
was synced at the end. From these control judges what a disk may still hold: after a kill -9 in the same boot the kernel
has kept what was written; after a power cut only what was synced is sure; and an epoch that isn't the last one granted
is the mark of a disk restored from a copy, which may lack what it has acknowledged.

    last-run.json   {"epoch": 7, "boot": "<the kernel's boot id>", "clean": false}

It is written before a granted epoch is used, and once more at an orderly end, after the logs.
"""

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from wire.cluster_link import Stop

NO_EPOCH: Final = -1


@dataclass(frozen=True, slots=True)
class LastRun:
    """`epoch` NO_EPOCH: none was ever granted to this disk."""

    epoch: int = NO_EPOCH
    boot: str = ""
    is_clean: bool = False

    def to_text(self) -> bytes:
        return json.dumps({"epoch": self.epoch, "boot": self.boot, "clean": self.is_clean}).encode() + b"\n"

    def stop(self, boot: str) -> Stop:
        """How it ended, as seen from `boot`; a boot that isn't known ("") is another one."""
        if self.is_clean:
            return Stop.CLEAN
        return Stop.SAME_BOOT if boot and boot == self.boot else Stop.UNCLEAN


def parse_last_run(text: bytes) -> LastRun:
    """What the file says. What can't be understood is a disk that knows nothing, which control trusts with nothing."""
    try:
        raw: Any = json.loads(text)
    except ValueError:
        return LastRun()
    if not isinstance(raw, dict):
        return LastRun()
    body = cast("Mapping[str, Any]", raw)
    epoch, boot, clean = body.get("epoch"), body.get("boot"), body.get("clean")
    if type(epoch) is not int or not isinstance(boot, str) or not isinstance(clean, bool):
        return LastRun()
    return LastRun(epoch, boot, clean)


def directory_hex(directory_id: str) -> str:
    """meta.properties' directory.id (16 bytes in URL-safe base64, as Kafka writes it) in hex, as the cluster's records
    have it. Raises ValueError."""
    raw = binascii.a2b_base64(directory_id.replace("-", "+").replace("_", "/") + "==")
    if len(raw) != 16:
        raise ValueError(f"directory.id={directory_id} isn't of 16 bytes")
    return raw.hex()
