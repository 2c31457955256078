"""Whether a run kept what the front door promises. Pure, and made from the rules alone.

It knows the three reports (facts.py) and what belongs to a request (asks.py), but neither how requests are made nor how
the front door works. It is itself tested by reports that lie, a rule at a time.

What is a violation and what is not:
- a request that may be repeated is answered by 200, whatever happens to replicas. Two things excuse it: its answer had
  begun when the replica that gave it was harmed (`cut`: HTTP has no way to take a head back), or its connection was
  held by a data-path worker that was killed at that moment (`with a worker`);
- any other request may be refused by 502, 503 or 504, and is handled at most once; exactly once if it got a 200;
- an answer is whole, its own request's, and comes once; who gave it says in its log that it acted on the request.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from analysis.chaos.asks import Ask, checksum
from analysis.chaos.facts import Ending, Harm, Record, Served, Stray
from analysis.chaos.plan import KINDS

REFUSALS = frozenset((502, 503, 504))
AFTERMATH_S = 10.0
"""How long after a harm a cut answer may be its doing: until a replica that hangs was found out and killed, which takes
1.5 s, and longer if control is just being restarted or the machine is busy."""
WORKER_S = 1.0
"""The same for a killed worker, whose connections the kernel ends at once; the client may be busy."""


@dataclass(slots=True)
class Verdict:
    """`violations` are ids of requests (of strays: their first bytes) by broken rule. The rest is only counted."""

    requests: int = 0
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])  # requests that may not be repeated
    cut: Counter[str] = field(default_factory=Counter[str])  # by the harm that explains it
    with_worker: int = 0
    left: int = 0  # by clients that went away on purpose
    handled_again: int = 0  # repeatable requests on which more than one replica acted
    violations: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def broken(self, rule: str, what: str) -> None:
        self.violations.setdefault(rule, []).append(what)


def judge(records: Sequence[Record], served: Served, harms: Sequence[Harm], strays: Sequence[Stray]) -> Verdict:
    verdict = Verdict(len(records))
    seen: Counter[str] = Counter(record.answer_id for record in records if record.answer_id)
    for record in records:
        _judge_end(verdict, record, harms)
        _judge_handling(verdict, record, served.get(record.ask.id, []))
        if seen[record.ask.id] > 1:
            verdict.broken("answered twice", record.ask.id)
    for stray in strays:
        verdict.broken("answer that nobody asked for", stray.data[:80].decode("latin-1"))
    return verdict


def _judge_end(verdict: Verdict, record: Record, harms: Sequence[Harm]) -> None:
    if record.ending is Ending.WHOLE and record.status == 200:
        verdict.answered += 1
        _judge_answer(verdict, record)
    elif record.ending is Ending.WHOLE:
        _judge_refusal(verdict, record)
    elif record.ending is Ending.LEFT and record.ask.leaves:
        verdict.left += 1
    elif record.ending in (Ending.CUT, Ending.LOST) and _worker_of(record, harms):
        verdict.with_worker += 1
    elif record.ending is Ending.CUT and (cause := _cause(record, harms)):
        verdict.cut[cause.kind] += 1
    else:
        verdict.broken(f"failed: {record.ending}", record.ask.id)


def _judge_answer(verdict: Verdict, record: Record) -> None:
    for rule, holds in ANSWER_RULES.items():
        if not holds(record):
            verdict.broken(rule, record.ask.id)


def _judge_refusal(verdict: Verdict, record: Record) -> None:
    if record.answer_id != record.ask.id:
        verdict.broken("answer with another id", record.ask.id)
    if record.ask.repeatable:
        verdict.broken(f"failed: {record.status}", record.ask.id)
    elif record.status in REFUSALS:
        verdict.refused[f"{record.ask.method} {record.status}"] += 1
    else:
        verdict.broken(f"neither 200 nor refused: {record.status}", record.ask.id)


def _judge_handling(verdict: Verdict, record: Record, by: list[str]) -> None:
    if len(by) > 1 and record.ask.method == "POST":
        verdict.broken("POST handled twice", record.ask.id)
    elif len(by) > 1 and not record.ask.repeatable:
        verdict.broken("handled twice, though too large for it", record.ask.id)
    elif len(by) > 1:
        verdict.handled_again += 1
    if record.status == 200 and record.replica not in by:
        verdict.broken("answered by who did not handle it", record.ask.id)


ANSWER_RULES: dict[str, Callable[[Record], bool]] = {
    "answer with another id": lambda record: record.answer_id == record.ask.id,
    "answer with a wrong body": lambda record: record.checksum == _checksum(record.ask),
    "answer with a wrong length": lambda record: record.length in (-1, _length(record.ask)),
}
"""What holds of each whole 200."""


def _checksum(ask: Ask) -> str:
    return checksum(ask.answer)


def _length(ask: Ask) -> int:
    """What a Content-Length has to say: to HEAD as it would be to GET (RFC 9110, 9.3.2)."""
    return ask.size if ask.method == "HEAD" else len(ask.answer)


def _cause(record: Record, harms: Sequence[Harm]) -> Harm | None:
    """The last harm that may have cut this answer: to the replica that gave it, and at that time."""
    for harm in reversed(harms):
        kind = KINDS.get(harm.kind)
        then = harm.at <= record.ended <= harm.until + AFTERMATH_S
        if kind is not None and kind.cuts and harm.target == record.replica and then:
            return harm
    return None


def _worker_of(record: Record, harms: Sequence[Harm]) -> bool:
    return any(
        harm.kind == "worker" and record.connected <= harm.at <= record.ended <= harm.at + WORKER_S for harm in harms
    )
