"""`server.apis`: the registry says neither more nor less than ApiVersions does."""

import unittest

from server.apis import MODULES, registry
from wire.versions import PUBLIC


class RegistryTest(unittest.TestCase):
    def test_what_is_advertised_is_served_and_the_other_way_round(self) -> None:
        self.assertEqual(sorted(registry()), sorted(api.key for api in PUBLIC))

    def test_each_key_once_and_in_its_modules_name(self) -> None:
        keys = [module.KEY for module in MODULES]
        self.assertEqual(sorted(set(keys)), keys)
        for module in MODULES:
            self.assertTrue(module.__name__.rpartition(".")[2].startswith(f"k{module.KEY:02}_"))


if __name__ == "__main__":
    unittest.main()
