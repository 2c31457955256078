import contextlib
import io
import subprocess
import sys
import unittest
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from unittest import mock

import typer

from loadbalancer.cli.attached import Commands

attached = typer.Typer()


@attached.command()
def greet(name: str) -> None:
    """Say hello."""
    print(f"hello {name}")


own = typer.Typer(cls=Commands, no_args_is_help=True)


@own.command()
def up() -> None:
    """Ours."""
    print("up")


@own.command()
def down() -> None:
    """Ours too."""


POINTS = (
    EntryPoint("greet", f"{__name__}:attached", "carousel.commands"),
    EntryPoint("up", "nowhere:app", "carousel.commands"),
    EntryPoint("gone", "nowhere:app", "carousel.commands"),
)


def found(group: str, name: str | None = None) -> Iterable[EntryPoint]:
    return [point for point in POINTS if point.group == group and name in (None, point.name)]


class AttachedTest(unittest.TestCase):
    def run_with(self, *arguments: str) -> tuple[int, str]:
        said = io.StringIO()
        points = mock.patch("loadbalancer.cli.attached.entry_points", found)
        with points, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                own(list(arguments), prog_name="carousel")
            except SystemExit as end:
                return int(end.code or 0), said.getvalue()
        return 0, said.getvalue()

    def test_a_command_of_another_package(self) -> None:
        self.assertEqual(self.run_with("greet", "Ada"), (0, "hello Ada\n"))

    def test_our_own_come_first_and_look_at_nothing(self) -> None:
        with mock.patch("loadbalancer.cli.attached.entry_points", side_effect=AssertionError):
            said = io.StringIO()
            with contextlib.redirect_stdout(said), self.assertRaises(SystemExit):
                own(["up"])
        self.assertEqual(said.getvalue(), "up\n")

    def test_help_lists_those_that_are_there(self) -> None:
        code, text = self.run_with("--help")
        self.assertEqual(code, 0)
        self.assertRegex(text, r"greet +Say hello")
        self.assertNotIn("gone", text)

    def test_one_whose_package_is_missing_says_so(self) -> None:
        code, text = self.run_with("gone")
        self.assertEqual(code, 2)
        self.assertRegex(" ".join(text.split()), "carousel gone needs nowhere, which is not installed")

    def test_one_that_nobody_has(self) -> None:
        code, text = self.run_with("crate")
        self.assertEqual((code, "No such command" in text), (2, True))

    def test_the_command_itself_loads_no_client(self) -> None:
        code = (
            "import sys, loadbalancer.cli.main; sys.exit(any(name.split('.')[0] == 'client' for name in sys.modules))"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode, 0)


if __name__ == "__main__":
    unittest.main()
