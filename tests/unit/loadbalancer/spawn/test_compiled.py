import importlib
import os
import subprocess
import sys
import unittest
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from unittest import mock

from loadbalancer.spawn import compiled


class CompiledTest(unittest.TestCase):
    def test_every_hot_module_is_there(self) -> None:
        for module in compiled.HOT:
            self.assertTrue(compiled.source(module).is_file(), module)

    def test_the_home_is_that_of_the_very_sources(self) -> None:
        before = compiled.home()
        self.assertEqual(before, compiled.home())
        real = Path.read_bytes
        with mock.patch.object(Path, "read_bytes", lambda path: real(path) + b"#"):
            self.assertNotEqual(before, compiled.home())
        with mock.patch.object(compiled, "EXTENSION_SUFFIXES", [".another.so"]):
            self.assertNotEqual(before, compiled.home())

    def test_without_compiled_ones_the_sources_run(self) -> None:
        with mock.patch.object(compiled, "home", lambda: Path("/tmp/there-is-no-such-directory")):
            self.assertFalse(compiled.use_compiled())

    def test_they_can_be_turned_off(self) -> None:
        with (
            mock.patch.dict(os.environ, {compiled.OFF: "1"}),
            mock.patch.object(compiled, "home", lambda: Path("/tmp")),
        ):
            self.assertFalse(compiled.use_compiled())

    def test_a_finder_finds_what_lies_flat_in_the_directory(self) -> None:
        found = dict(compiled.extensions(Path(importlib.import_module("mmh3").__file__ or "").parent))
        self.assertTrue(all(path.name == name + EXTENSION_SUFFIXES[0] for name, path in found.items()))

    def test_a_worker_chooses_before_its_first_import(self) -> None:
        seen = subprocess.run(
            [sys.executable, "-m", "loadbalancer.aio.start", "--help"],
            capture_output=True, text=True, timeout=30, check=True, env=os.environ | {compiled.OFF: "1"},
        )  # fmt: skip
        self.assertIn("--slot", seen.stdout)
