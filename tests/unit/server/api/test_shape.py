"""`server.api.shape`: what every API module offers, held for all that there are."""

import unittest
from importlib import import_module
from pathlib import Path

import server.api
from wire.versions import PUBLIC

MODULES = sorted(path.stem for path in Path(next(iter(server.api.__path__))).glob("k*.py"))


class ShapeTest(unittest.TestCase):
    def test_each_module_is_one_served_api_with_its_number(self) -> None:
        names = {api.key: api.name for api in PUBLIC}
        for name in MODULES:
            module = import_module(f"server.api.{name}")
            self.assertEqual(name, f"k{module.KEY:02}_{names[module.KEY]}")
            self.assertTrue(callable(module.handle))
            self.assertTrue(module.__doc__)
