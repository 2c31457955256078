import unittest

from loadbalancer.log_lines import console_line


class ConsoleLineTest(unittest.TestCase):
    def test_who_what_whom_why_and_the_rest(self) -> None:
        line = console_line("09:01:54", "info", "control", "starting", {"reason": "first", "replica": "S1"}, False)
        self.assertEqual(line, "09:01:54 control    starting   S1  first")
        line = console_line("09:01:54", "info", "supervisor", "started", {"child": "door-0", "pid": 7}, True)
        self.assertEqual(line, "09:01:54 supervisor started    door-0  pid=7")

    def test_nothing_to_add_leaves_no_blanks(self) -> None:
        line = console_line("09:01:54", "info", "supervisor", "ended", {"reason": ""}, False)
        self.assertEqual(line, "09:01:54 supervisor ended")

    def test_what_is_wrong_says_so_and_is_coloured_on_a_terminal(self) -> None:
        plain = console_line("t", "warning", "door-0", "answer cut", {"reason": "reset"}, False)
        self.assertEqual(plain, "t door-0     warning: answer cut reset")
        coloured = console_line("t", "warning", "door-0", "answer cut", {"reason": "reset"}, True)
        self.assertEqual(coloured, f"\x1b[33m{plain}\x1b[0m")

    def test_a_traceback_follows_its_line(self) -> None:
        line = console_line("t", "error", "control", "failed", {"exception": "Traceback\nKeyError"}, False)
        self.assertEqual(line.splitlines()[1:], ["Traceback", "KeyError"])


if __name__ == "__main__":
    unittest.main()
