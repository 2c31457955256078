"""`server.settings`: the environment, read once."""

import unittest

from server.settings import SettingError, read_settings


class Reading(unittest.TestCase):
    def test_defaults(self) -> None:
        settings = read_settings({}, "box", None)
        self.assertEqual((settings.identity, settings.host, settings.port), ("box", "127.0.0.1", 5000))
        self.assertEqual(settings.home_format, "Hello from Server: {id}")
        self.assertEqual((settings.data_dir, settings.cluster, settings.node_id), (None, None, None))

    def test_all_of_it(self) -> None:
        environ = {"SERVER_ID": "s1", "HOST": "::1", "PORT": "0", "HOME_FORMAT": "[{id}]"}
        environ |= {"DATA_DIR": "/d", "CAROUSEL_CLUSTER": "c", "NODE_ID": "7"}
        settings = read_settings(environ, "box", None)
        self.assertEqual((settings.identity, settings.host, settings.port), ("s1", "::1", 0))
        self.assertEqual((settings.home_format, settings.data_dir), ("[{id}]", "/d"))
        self.assertEqual((settings.cluster, settings.node_id), ("c", 7))

    def test_the_queue_s_http_interface(self) -> None:
        found = read_settings({"QUEUE_CLIENT_BOOTSTRAP": "a:1,b:2", "CONTROL_HTTP": "unix:/x"}, "box", None)
        self.assertEqual((found.bootstrap, found.control_http), ("a:1,b:2", "unix:/x"))
        unset = read_settings({"QUEUE_CLIENT_BOOTSTRAP": "", "CONTROL_HTTP": ""}, "box", None)
        self.assertEqual((unset.bootstrap, unset.control_http), (None, None))

    def test_the_flag_goes_before_the_variable(self) -> None:
        self.assertEqual(read_settings({"DATA_DIR": "/d"}, "box", "/e").data_dir, "/e")

    def test_a_bad_number_is_named(self) -> None:
        for name, text in (("PORT", "http"), ("PORT", "65536"), ("PORT", "-1"), ("NODE_ID", "1.5"), ("NODE_ID", "²")):
            with self.assertRaisesRegex(SettingError, f"^{name} must be"):
                read_settings({name: text}, "box", None)
