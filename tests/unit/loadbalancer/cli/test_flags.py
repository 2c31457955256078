import unittest
from pathlib import Path

import typer
from typer.testing import CliRunner

from loadbalancer.cli.flags import settings_markdown, with_setting_flags
from loadbalancer.settings import Settings

README = Path(__file__).parents[4] / "README.md"


class FlagsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.given: dict[str, str] = {}
        app = typer.Typer()
        app.command()(with_setting_flags(self.given.update))
        self.app = app

    def test_each_setting_has_a_flag_and_only_those_used_are_given(self) -> None:
        result = CliRunner().invoke(self.app, ["--ring-hash", "spec", "--port", "0"])
        self.assertEqual((result.exit_code, self.given), (0, {"ring_hash": "spec", "port": "0"}))

    def test_what_is_on_or_off_needs_no_value(self) -> None:
        for given, value in (("--accept-proxy-protocol", "True"), ("--no-accept-proxy-protocol", "False")):
            result = CliRunner().invoke(self.app, [given, "--port", "0"])
            self.assertEqual((result.exit_code, self.given.get("accept_proxy_protocol")), (0, value))

    def test_an_unknown_flag_exits_with_2(self) -> None:
        result = CliRunner().invoke(self.app, ["--ring-hsah", "spec"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--ring-hsah", result.output)

    def test_the_readme_has_the_table_of_today(self) -> None:
        self.assertIn(settings_markdown(), README.read_text(), "run `make readme`")

    def test_every_setting_says_what_it_does(self) -> None:
        for name, field in Settings.model_fields.items():
            self.assertTrue(field.description, name)
