"""`wire.schemas`: kio's classes, and what loading them costs."""

import subprocess
import sys
import unittest

from wire.schemas import load, message_class, module
from wire.versions import METADATA_POLL, REQUEST_HEADERS, STATE_OFFER


class SchemasTest(unittest.TestCase):
    def test_the_class_of_the_whole_message(self) -> None:
        for key, version in REQUEST_HEADERS.keys() - {(METADATA_POLL, 0), (STATE_OFFER, 0)}:
            for kind in ("request", "response"):
                cls = message_class(key, version, kind)
                self.assertTrue(cls.__name__.endswith(kind.title()), cls)
                self.assertEqual((cls.__api_key__, cls.__version__), (key, version))

    def test_structs_are_in_the_same_module(self) -> None:
        self.assertEqual(module(3, 12, "response").MetadataResponseBroker.__version__, 12)

    def test_an_api_that_is_not_spoken_is_an_error_of_ours(self) -> None:
        self.assertRaises(KeyError, module, 999, 0, "request")
        self.assertRaises(ModuleNotFoundError, module, 3, 99, "request")

    def test_modules_are_loaded_once(self) -> None:
        self.assertIs(load("kio.schema.errors"), load("kio.schema.errors"))

    def test_a_fresh_process_gets_kio_without_hypothesis_and_asyncio_modules_stay_away(self) -> None:
        code = (
            "import sys; from wire import messages\n"
            "assert not [name for name in sys.modules if name.startswith('kio')], 'kio before it is needed'\n"
            "messages.decode(18, 0, b'')\n"
            "assert 'kio.schema.api_versions.v0.request' in sys.modules\n"
            "assert 'kio.schema.api_versions.v4.request' not in sys.modules\n"
            "assert 'hypothesis' not in sys.modules\n"
            "import hypothesis"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
