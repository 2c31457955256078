"""The judge is given reports that lie, one rule at a time."""

import unittest
from collections.abc import Sequence
from typing import Any

from analysis.chaos.asks import KIB, Ask, checksum
from analysis.chaos.facts import Ending, Harm, Record, Served, Stray
from analysis.chaos.judge import AFTERMATH_S, WORKER_S, Verdict, judge

GET = Ask("g", "GET", 100)
HEAD = Ask("h", "HEAD", 100)
PUT = Ask("u", "PUT", 100)
LARGE = Ask("l", "PUT", 65 * KIB)
POST = Ask("p", "POST", 100)
ALL = (GET, HEAD, PUT, LARGE, POST)


def good(ask: Ask, **changes: Any) -> Record:
    """The report of a request that S1 answered as it should, between 10 and 11."""
    values: dict[str, Any] = {
        "ending": Ending.WHOLE,
        "ended": 11.0,
        "connected": 9.0,
        "status": 200,
        "answer_id": ask.id,
        "replica": "S1",
        "length": ask.size if ask.method == "HEAD" else len(ask.answer),
        "size": len(ask.answer),
        "checksum": checksum(ask.answer),
    }
    return Record(ask, 10.0, **(values | changes))


def refused(ask: Ask, status: int) -> Record:
    return good(ask, status=status, replica="", length=-1, checksum="")


def lost(ask: Ask, ending: Ending = Ending.LOST) -> Record:
    return good(ask, ending=ending, status=0, answer_id="", replica="", length=-1, checksum="")


def cut(ask: Ask, **changes: Any) -> Record:
    return good(ask, ending=Ending.CUT, checksum="", **changes)


class JudgeCase(unittest.TestCase):
    def judged(self, *records: Record, by: Served | None = None, harms: Sequence[Harm] = ()) -> Verdict:
        """All were handled once, by S1, unless `by` says otherwise."""
        served = {record.ask.id: ["S1"] for record in records} if by is None else by
        return judge(records, served, harms, ())

    def assert_broken(self, verdict: Verdict, **rules: int) -> None:
        found = {rule: len(ids) for rule, ids in verdict.violations.items()}
        self.assertEqual(found, {rule.replace("_", " "): count for rule, count in rules.items()})


class Failures(JudgeCase):
    def test_a_good_run(self) -> None:
        verdict = self.judged(*(good(ask) for ask in ALL))
        self.assertEqual((verdict.violations, verdict.requests, verdict.answered), ({}, 5, 5))

    def test_a_repeatable_request_must_not_be_refused(self) -> None:
        for ask in (GET, HEAD, PUT):
            for status in (502, 503, 504, 404):
                with self.subTest(ask=ask, status=status):
                    verdict = self.judged(refused(ask, status))
                    self.assertEqual(verdict.violations, {f"failed: {status}": [ask.id]})

    def test_any_other_may_but_not_with_any_status(self) -> None:
        verdict = self.judged(refused(POST, 502), refused(LARGE, 504))
        self.assertEqual((verdict.violations, verdict.refused), ({}, {"POST 502": 1, "PUT 504": 1}))
        verdict = self.judged(refused(POST, 500))
        self.assertEqual(list(verdict.violations), ["neither 200 nor refused: 500"])

    def test_no_request_may_stay_without_an_answer(self) -> None:
        for ask in ALL:
            for ending in (Ending.LOST, Ending.REFUSED, Ending.TOO_SLOW, Ending.BROKEN):
                with self.subTest(ask=ask, ending=ending):
                    verdict = self.judged(lost(ask, ending), harms=[Harm("kill", "S1", 10.5, 10.5)])
                    self.assertEqual(verdict.violations, {f"failed: {ending}": [ask.id]})

    def test_a_client_that_leaves_must_have_been_told_to(self) -> None:
        leaver = Ask("x", "POST", 100, slow=True, leaves=True)
        verdict = self.judged(lost(leaver, Ending.LEFT))
        self.assertEqual((verdict.violations, verdict.left), ({}, 1))
        self.assertEqual(self.judged(lost(GET, Ending.LEFT)).violations, {"failed: left": ["g"]})
        verdict = self.judged(lost(leaver, Ending.LEFT), by={"x": ["S1", "S2"]})
        self.assert_broken(verdict, POST_handled_twice=1)

    def test_a_refusal_of_another_request(self) -> None:
        record = refused(POST, 502)
        record.answer_id = "g"
        self.assert_broken(self.judged(record), answer_with_another_id=1)


class Cuts(JudgeCase):
    def test_by_harm_to_the_replica_that_answered_then(self) -> None:
        verdict = self.judged(cut(GET), harms=[Harm("reset", "S1", 10.9, 10.9), Harm("kill", "S2", 10.9, 10.9)])
        self.assertEqual((verdict.violations, verdict.cut), ({}, {"reset": 1}))

    def test_until_a_replica_that_hangs_was_found_out(self) -> None:
        late, too_late = 11.0 - AFTERMATH_S + 0.1, 11.0 - AFTERMATH_S - 0.1
        self.assertEqual(self.judged(cut(GET), harms=[Harm("freeze", "S1", late, late)]).violations, {})
        verdict = self.judged(cut(GET), harms=[Harm("freeze", "S1", too_late, too_late)])
        self.assert_broken(verdict, **{"failed: cut": 1})

    def test_without_a_cause(self) -> None:
        for harm in (
            Harm("kill", "S2", 10.5, 10.5),
            Harm("kill", "S1", 11.5, 11.5),
            Harm("slow", "S1", 10.5, 10.9),
            Harm("replace", "S1", 10.5, 10.5),
            Harm("reload", "all", 10.5, 10.5),
        ):
            with self.subTest(harm=harm):
                self.assert_broken(self.judged(cut(GET), harms=[harm]), **{"failed: cut": 1})


class Workers(JudgeCase):
    def test_what_it_held_when_it_was_killed(self) -> None:
        verdict = self.judged(cut(GET), lost(POST), harms=[Harm("worker", "worker", 10.9, 10.9)])
        self.assertEqual((verdict.violations, verdict.with_worker), ({}, 2))

    def test_nothing_else(self) -> None:
        for at in (8.0, 11.0 - WORKER_S - 0.1, 11.1):
            with self.subTest(at=at):
                self.assert_broken(self.judged(lost(GET), harms=[Harm("worker", "worker", at, at)]), failed__lost=1)
        verdict = self.judged(lost(GET, Ending.TOO_SLOW), harms=[Harm("worker", "worker", 10.9, 10.9)])
        self.assertEqual(list(verdict.violations), ["failed: too slow"])

    def assert_broken(self, verdict: Verdict, **rules: int) -> None:
        super().assert_broken(verdict, **{rule.replace("__", ": "): count for rule, count in rules.items()})


class Answers(JudgeCase):
    def test_another_id(self) -> None:
        self.assert_broken(self.judged(good(GET, answer_id="x")), answer_with_another_id=1)
        self.assert_broken(self.judged(good(GET, answer_id="")), answer_with_another_id=1)

    def test_another_s_body(self) -> None:
        other = Ask("x", "GET", 100)
        self.assert_broken(self.judged(good(GET, checksum=checksum(other.answer))), answer_with_a_wrong_body=1)

    def test_a_broken_upload(self) -> None:
        answer = checksum(checksum(POST.upload[:-1]).encode())
        self.assert_broken(self.judged(good(POST, checksum=answer)), answer_with_a_wrong_body=1)

    def test_a_head_that_promises_another_length(self) -> None:
        self.assert_broken(self.judged(good(HEAD, length=0)), answer_with_a_wrong_length=1)
        self.assert_broken(self.judged(good(GET, length=-1)))  # chunked

    def test_twice(self) -> None:
        other = good(Ask("x", "GET", 100), answer_id="g")
        verdict = self.judged(good(GET), other)
        self.assert_broken(verdict, answered_twice=1, answer_with_another_id=1)

    def test_unasked(self) -> None:
        verdict = judge([], {}, [], [Stray(1.0, b"HTTP/1.1 200 OK")])
        self.assertEqual(verdict.violations, {"answer that nobody asked for": ["HTTP/1.1 200 OK"]})


class Handling(JudgeCase):
    def test_a_post_twice(self) -> None:
        for record in (good(POST), refused(POST, 502)):
            for by in (["S1", "S2"], ["S1", "S1"]):
                with self.subTest(record=record, by=by):
                    self.assert_broken(self.judged(record, by={"p": by}), POST_handled_twice=1)

    def test_a_refused_post_may_have_been_handled_once_or_not(self) -> None:
        for by in (["S1"], []):
            self.assertEqual(self.judged(refused(POST, 502), by={"p": by}).violations, {})

    def test_a_put_twice_only_if_it_may_be_repeated(self) -> None:
        verdict = self.judged(good(PUT), good(LARGE), by={"u": ["S2", "S1"], "l": ["S2", "S1"]})
        self.assert_broken(verdict, **{"handled twice, though too large for it": 1})
        self.assertEqual(verdict.handled_again, 1)

    def test_answered_by_who_did_not(self) -> None:
        for ask in ALL:
            for by in ([], ["S2"]):
                with self.subTest(ask=ask, by=by):
                    verdict = self.judged(good(ask), by={ask.id: by})
                    self.assert_broken(verdict, answered_by_who_did_not_handle_it=1)
