"""Sends the lines of a file to topics in turn (specs/queue-http-api.md).

    python client/runproduce.py --id 1 --topics T1:P1 T2:P2 T3:* --broker HOST[:PORT] --log_loc DIR

Reads DIR/producer_{id}.txt. A run that was killed is taken up where it was (DIR/producer_{id}.offsets).
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

if __package__ in (None, ""):  # run by its path: its folder's files must not stand in for the library's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from client.assignments import parse
from client.errors import CarouselError, ConfigError
from client.plain import produce_http, produce_kafka
from client.plain.looking import bootstrap
from client.plain.notices import Notices, seconds, words_for
from client.produce_log import parse_lines
from client.web.calls import QueueCalls


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("runproduce", description="Sends the lines of DIR/producer_{id}.txt to topics.")
    parser.add_argument("--id", type=int, required=True, help="which file: producer_{id}.txt")
    parser.add_argument(
        "--topics", nargs="+", required=True, metavar="T1:P1", help="topic:partition, or topic:* for all"
    )
    parser.add_argument(
        "--broker", required=True, metavar="HOST[:PORT]", help="the load balancer; port 5000 if not said"
    )
    parser.add_argument("--log_loc", type=Path, required=True, metavar="DIR", help="the folder of the file")
    parser.add_argument(
        "--pace",
        type=seconds,
        default=1.0,
        metavar="S",
        help="the longest pause between two turns, seconds; 0: none",
    )
    return parser.parse_args(argv)


def produce(options: argparse.Namespace, notices: Notices) -> None:
    """Raises Incompatible before anything is sent, if a line doesn't fit; ConfigError."""
    topics = [parse(topic) for topic in options.topics]
    path: Path = options.log_loc / f"producer_{options.id}.txt"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: byte {error.start} can't be read") from error
    lines = parse_lines(text, topics)
    if not lines:
        return
    record = path.with_suffix(".offsets")
    with closing(QueueCalls(options.broker)) as calls:
        bound = produce_kafka.under_way(lines, record) is not None
        address = bootstrap(calls, notices, bound=bound)
        if address is None:
            produce_http.produce(calls, lines, len(topics), options.pace, notices)
        else:
            produce_kafka.produce(address, lines, len(topics), record, options.pace, notices)


def main(argv: Sequence[str] | None = None) -> int:
    notices = Notices("runproduce")
    try:
        produce(arguments(argv), notices)
    except (CarouselError, OSError) as error:
        notices.say(words_for(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
