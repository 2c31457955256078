import unittest
from pathlib import Path

from client.assignments import parse
from client.examples import demo
from client.produce_log import parse_lines


class DemoTest(unittest.TestCase):
    def test_the_example_data_fits_the_producers(self) -> None:
        for number, topics in demo.PRODUCERS.items():
            text = (demo.HERE / f"producer_{number}.txt").read_text()
            self.assertGreater(len(parse_lines(text, [parse(topic) for topic in topics])), 10)

    def test_a_system_that_does_not_start_is_told(self) -> None:
        def nowhere() -> str:
            return demo.url_in(Path("/nowhere"))

        with self.assertRaisesRegex(demo.Failed, "did not start"):
            demo.waited_for(nowhere, 60.0, lambda: False)
        with self.assertRaisesRegex(demo.NotFound, "no system runs in /nowhere"):
            demo.waited_for(nowhere, 0.0)


if __name__ == "__main__":
    unittest.main()
