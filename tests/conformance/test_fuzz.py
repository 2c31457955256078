"""Spoilt messages by the thousand: seeded ones, and those that Hypothesis looks for. More of both in the slow suite."""

import unittest

import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from support.door_case import DoorCase
from support.fake_replicas import Rig
from support.mutations import KINDS, REQUESTS, Mutation
from support.recorder import Recorder
from support.teller import Teller

from conformance.answer_fuzzing import check_answer
from conformance.fuzzing import check_door, check_mutated, check_recognised, run_seeds

SEEDS = range(1000)
RECOGNISED = range(10_000)
DOOR_SEEDS = range(200)
numbers = st.integers(0, (1 << 16) - 1)
mutations = st.builds(Mutation, st.integers(0, KINDS - 1), numbers, numbers)


class Requests(unittest.TestCase):
    def test_seeds(self) -> None:
        passed, refused = run_seeds(SEEDS)
        self.assertGreater(passed, len(SEEDS) // 2, "too little passes to say anything")
        self.assertGreater(refused, len(SEEDS) // 4)

    def test_a_remembered_head_hides_nothing(self) -> None:
        recognised = sum(check_recognised(seed) for seed in RECOGNISED)
        self.assertGreater(recognised, len(RECOGNISED) // 20)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4),
        st.lists(mutations, max_size=4),
        st.lists(numbers, max_size=6),
    )
    def test_whatever_is_sent_on_is_read_alike(
        self, messages: list[list[bytes]], spoiling: list[Mutation], cuts: list[int]
    ) -> None:
        check_mutated(messages, spoiling, cuts)


class Doors(DoorCase):
    """Through a real front door, on real sockets."""

    async def asyncSetUp(self) -> None:
        self.enterContext(structlog.testing.capture_logs())  # of the answers cut

    async def test_it_sends_on_what_its_pure_twin_says(self) -> None:
        recorder = Recorder()
        rig = Rig(self.directory)
        await recorder.start()
        rig.replicas.append(recorder)
        await rig.start(admin=False)
        self.addAsyncCleanup(rig.stop)
        for seed in DOOR_SEEDS:
            await check_door(rig, recorder, seed, warm=seed % 2 > 0)

    async def test_answers_are_read_alike(self) -> None:
        teller = Teller()
        rig = await self.rig(teller.answer, admin=False)
        outcomes = {await check_answer(rig, teller, seed) for seed in DOOR_SEEDS}
        self.assertEqual(outcomes, {"passed", "replaced", "cut"})
