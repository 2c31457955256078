import unittest

from client.cli.default_list import with_default


class DefaultTest(unittest.TestCase):
    def test_options_alone_are_those_of_list(self) -> None:
        for args, found in (
            ([], ["list"]),
            (["--json"], ["list", "--json"]),
            (["--help"], ["--help"]),
            (["create", "T1"], ["create", "T1"]),
            (["crate"], ["crate"]),
        ):
            self.assertEqual(with_default(args), found)


if __name__ == "__main__":
    unittest.main()
