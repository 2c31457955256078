"""The data path's hot modules as machine code, where somebody has compiled them (`make fast`), for workers only.

mypyc turns the very sources that every test runs into C extensions. They lie in a directory whose name is the
digest of these sources and of the interpreter, never beside the sources: an edited file, another Python or
another machine simply finds no such directory and runs the source. Control, tests and tools always do.

The road not taken: extensions beside their sources, as mypyc leaves them. Python prefers them, so an edit
would be without effect until somebody remembers to compile.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType

HOT = (
    "wire.http1",
    "wire.bodies",
    "wire.forwarded",
    "loadbalancer.counters",
    "loadbalancer.forwarded",
    "loadbalancer.forwarding",
    "loadbalancer.retry",
    "loadbalancer.hashes",
    "loadbalancer.known_head",
    "loadbalancer.policy_view",
    "loadbalancer.policy_ring",
    "loadbalancer.ring_types",
    "loadbalancer.ring_hashed",
    "loadbalancer.ring_course",
    "loadbalancer.routing",
    "loadbalancer.aio.outbox",
    "loadbalancer.aio.upstreams",
    "loadbalancer.aio.exchange",
    "loadbalancer.aio.client",
    "loadbalancer.aio.introduced",
    "loadbalancer.aio.admin",
    "loadbalancer.aio.door",
    "loadbalancer.aio.hedge",
    "loadbalancer.aio.queue_exchange",
    "loadbalancer.aio.replicas",
    "loadbalancer.aio.pipe",
    "loadbalancer.aio.tunnel",
    "loadbalancer.aio.queue_door",
    "loadbalancer.stickiness",
    "loadbalancer.upgrades",
)
"""What is compiled, all in one unit: calls among them are calls in C."""

ROOT = Path(__file__).parents[2]
OFF = "INTERPRET_DATA_PATH"
"""With this variable set, workers run the sources even where compiled ones lie."""


def source(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def home() -> Path:
    """Where the modules of these very sources lie, or would lie, compiled for this interpreter."""
    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {EXTENSION_SUFFIXES[0]}".encode())
    for module in HOT:
        digest.update(source(module).read_bytes())
    return ROOT / "build" / f"hot-{digest.hexdigest()[:16]}"


def use_compiled() -> bool:
    """From now on import the hot modules from `home()`, if they lie there; True if they do. To be called before any of
    them is imported."""
    directory = home()
    if OFF in os.environ or not directory.is_dir():
        return False
    sys.meta_path.insert(0, _Finder(directory))
    return True


class _Finder:
    """Finds the extensions in one directory, where they lie flat: `loadbalancer.aio.door` as that name and a suffix."""

    def __init__(self, directory: Path) -> None:
        self._known = dict(extensions(directory))

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = self._known.get(name)
        if found is None:
            return None
        return importlib.util.spec_from_file_location(name, found, loader=ExtensionFileLoader(name, str(found)))


def extensions(directory: Path) -> Iterator[tuple[str, Path]]:
    """(module, file) of each extension that lies there."""
    suffix = EXTENSION_SUFFIXES[0]
    for path in directory.iterdir():
        if path.name.endswith(suffix):
            yield path.name.removesuffix(suffix), path
