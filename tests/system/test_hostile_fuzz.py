"""The fuzzers of tests/conformance/test_fuzz.py for minutes, from a new seed each time. SEED=… repeats a run."""

import os
import secrets
import time
import unittest

import pytest
import structlog.testing
from conformance.answer_fuzzing import check_answer
from conformance.fuzzing import check_door, check_mutated, check_recognised, run_seeds
from conformance.test_fuzz import mutations, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from support.door_case import DoorCase
from support.fake_replicas import Rig
from support.mutations import REQUESTS, Mutation
from support.recorder import Recorder
from support.teller import Teller

SEED = int(os.environ.get("SEED") or secrets.randbelow(1 << 40))
PURE, DOORS, ANSWERS = 40_000, 10_000, 5_000
RECOGNISED = 500_000


@pytest.mark.slow
@pytest.mark.timeout(600)
class Fuzz(unittest.TestCase):
    def test_requests(self) -> None:
        begun = time.monotonic()
        passed, refused = run_seeds(range(SEED, SEED + PURE))
        rate = PURE / (time.monotonic() - begun)
        print(f"{PURE} connections from seed {SEED}: {passed} requests passed, {refused} refusals, {rate:.0f}/s")
        self.assertGreater(passed, PURE // 2)
        self.assertGreater(refused, PURE // 4)

    def test_a_remembered_head_hides_nothing(self) -> None:
        recognised = sum(check_recognised(seed) for seed in range(SEED, SEED + RECOGNISED))
        print(f"{RECOGNISED} spoilt requests from seed {SEED}, {recognised} recognised")
        self.assertGreater(recognised, RECOGNISED // 20)

    @settings(max_examples=3000, deadline=None)
    @given(
        st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4),
        st.lists(mutations, max_size=6),
        st.lists(numbers, max_size=8),
    )
    def test_requests_that_hypothesis_finds(
        self, messages: list[list[bytes]], spoiling: list[Mutation], cuts: list[int]
    ) -> None:
        check_mutated(messages, spoiling, cuts)


@pytest.mark.slow
@pytest.mark.timeout(600)
class FuzzDoors(DoorCase):
    async def asyncSetUp(self) -> None:
        self.enterContext(structlog.testing.capture_logs())  # of the answers cut

    async def test_requests(self) -> None:
        recorder = Recorder()
        rig = Rig(self.directory)
        await recorder.start()
        rig.replicas.append(recorder)
        await rig.start(admin=False)
        self.addAsyncCleanup(rig.stop)
        for seed in range(SEED, SEED + DOORS):
            await check_door(rig, recorder, seed, warm=seed % 2 > 0)

    async def test_answers(self) -> None:
        teller = Teller()
        rig = await self.rig(teller.answer, admin=False)
        for seed in range(SEED, SEED + ANSWERS):
            await check_answer(rig, teller, seed)
