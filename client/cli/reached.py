"""Whether reading has come to an end that was there when it began.

The last offset before an end may belong to nobody: a transaction's marker, a message that compaction took. So an end is
reached by a message or by librdkafka's word that there is nothing more (`Consumer.reached`).
"""

from collections.abc import Mapping

from client.cli.positions import Place

NOWHERE = -1


def all_reached(ends: Mapping[Place, int], following: Mapping[Place, int], reached: Mapping[Place, int]) -> bool:
    """`ends`: what is to be reached; `following`: behind the last message; `reached`: where there was nothing more."""
    return all(max(following.get(place, NOWHERE), reached.get(place, NOWHERE)) >= end for place, end in ends.items())
