"""Writes the messages of topics to a file, a line each (specs/queue-http-api.md).

    python client/runconsume.py --id 1 --topics T1:* T2:P1 --broker HOST[:PORT] --log_loc DIR

Appends to DIR/consumer_{id}.txt, and ends after 20 s without a message. It starts at the topics' ends; a run that ended
or was killed is taken up where it was (DIR/consumer_{id}.offsets).
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

if __package__ in (None, ""):  # run by its path: its folder's files must not stand in for the library's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from client.assignments import parse_all
from client.consume_log import ways
from client.errors import CarouselError
from client.plain.consume_http import HttpToFile
from client.plain.consume_kafka import KafkaToFile
from client.plain.line_file import LineFile
from client.plain.looking import bootstrap
from client.plain.notices import Notices, seconds, words_for
from client.web.calls import QueueCalls


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("runconsume", description="Writes messages to DIR/consumer_{id}.txt, a line each.")
    parser.add_argument("--id", type=int, required=True, help="which file: consumer_{id}.txt")
    parser.add_argument(
        "--topics", nargs="+", required=True, metavar="T1:P1", help="topic:partition, or topic:* for all"
    )
    parser.add_argument(
        "--broker", required=True, metavar="HOST[:PORT]", help="the load balancer; port 5000 if not said"
    )
    parser.add_argument("--log_loc", type=Path, required=True, metavar="DIR", help="the folder of the file")
    parser.add_argument(
        "--timeout", type=seconds, default=20.0, metavar="S", help="end after so many seconds without a message"
    )
    return parser.parse_args(argv)


def consume(options: argparse.Namespace, notices: Notices) -> None:
    wanted = parse_all(options.topics)
    path = options.log_loc / f"consumer_{options.id}.txt"
    with closing(QueueCalls(options.broker)) as calls, LineFile(path) as file:
        by_http, by_kafka = ways(file.kept)
        address = None if by_http else bootstrap(calls, notices, bound=by_kafka)
        if address is None:
            HttpToFile(calls, wanted, file, options.timeout, notices).run()
        else:
            KafkaToFile(address, wanted, file, options.timeout, notices).run()


def main(argv: Sequence[str] | None = None) -> int:
    notices = Notices("runconsume")
    try:
        consume(arguments(argv), notices)
    except (CarouselError, OSError) as error:
        notices.say(words_for(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
