import contextlib
import io
import subprocess
import sys
import unittest
from unittest import mock

from loadbalancer.cli import main as own
from loadbalancer.cli import start


class StartTest(unittest.TestCase):
    def test_the_names_of_our_own(self) -> None:
        names = {one.name or one.callback.__name__ for one in own.app.registered_commands if one.callback}
        self.assertEqual(start.OWN, names)

    def test_who_runs_what(self) -> None:
        for arguments, light in (((), False), (("status",), False), (("topics",), True), (("crate",), False),
                                 (("--help",), False), (("lag", "--help"), True)):  # fmt: skip
            with (
                mock.patch.object(sys, "argv", ["carousel", *arguments]),
                mock.patch.object(start, "attached") as attached,
                mock.patch.object(own, "app") as app,
            ):
                start.main()
            self.assertEqual((attached.called, app.called), (light, not light), arguments)

    def test_an_attached_command_is_called_by_its_name(self) -> None:
        said = io.StringIO()
        argv = mock.patch.object(sys, "argv", ["carousel", "topics", "create"])
        with argv, contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end:
            start.main()
        self.assertEqual(end.exception.code, 2)
        self.assertIn("carousel topics create", said.getvalue())

    def test_the_queue_s_commands_do_without_the_settings(self) -> None:
        code = (
            "import sys; from loadbalancer.cli.start import main; sys.argv[1:] = ['topics', '--help']\n"
            "try: main()\nexcept SystemExit: sys.exit('loadbalancer.settings' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False, timeout=60)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
