"""Laws of groups, whatever the clients do, the log fails and time passes: checked on what clients were told alone.

- A generation has one leader, one protocol, and its members are those that the leader was told of.
- An assignment that a member gets is the one that the leader of its generation sent for it.
- Every question is answered, exactly once.
- Generations grow.
- What a replay of the log yields is what was acknowledged: offsets, and assignments of a stable group.
"""

import unittest
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from support.group_world import Asked, GroupWorld

from server.group_words import Commit, GroupSettings, GroupState, Join, Sync
from wire.errors import ErrorCode

NONE: Final = ErrorCode.NONE
SETTINGS: Final = GroupSettings(initial_rebalance_delay_ms=500, max_size=4)
PROTOCOLS: Final = ((("range", b"r"),), (("range", b"r"), ("sticky", b"s")), (("sticky", b"s2"), ("range", b"r")))
CLIENTS: Final = st.integers(0, 4)  # 0 and 1 are static members

STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("join"), CLIENTS, st.sampled_from(PROTOCOLS)),
        st.tuples(st.just("newcomer"), CLIENTS, st.sampled_from(PROTOCOLS)),
        st.tuples(st.just("sync"), CLIENTS),
        st.tuples(st.just("sync"), CLIENTS),
        st.tuples(st.just("heartbeat"), CLIENTS),
        st.tuples(st.just("leave"), CLIENTS),
        st.tuples(st.just("commit"), CLIENTS, st.integers(0, 99)),
        st.tuples(st.just("simple"), st.integers(0, 99)),
        st.tuples(st.just("delete")),
        st.tuples(st.just("wait"), st.sampled_from((1, 500, 3_000, 7_000, 70_000))),
        st.tuples(st.just("slow")),
        st.tuples(st.just("settle")),
        st.tuples(st.just("fail")),
        st.tuples(st.just("fail over")),
    ),
    max_size=60,
)


class Client:
    """A consumer that knows what it was last told."""

    def __init__(self, index: int) -> None:
        self.instance = f"i{index}" if index < 2 else None
        self.member_id = ""
        self.joined: Asked | None = None

    def learn(self) -> None:
        if self.joined is not None and self.joined.outcomes:
            outcome = self.joined.outcome
            if outcome.code in (NONE, ErrorCode.MEMBER_ID_REQUIRED):
                self.member_id = outcome.member_id
            elif outcome.code == ErrorCode.UNKNOWN_MEMBER_ID:
                self.member_id = ""

    @property
    def told(self) -> Any:
        """Its last join, if that was let in."""
        if self.joined is not None and self.joined.outcomes and self.joined.code == NONE:
            return self.joined.outcome
        return None


def play(world: GroupWorld, steps: list[tuple[Any, ...]]) -> None:
    clients = [Client(index) for index in range(5)]
    for action, *rest in steps:
        if rest and action in ("join", "newcomer", "sync", "heartbeat", "leave", "commit"):
            client = clients[rest[0]]
            client.learn()
            act(world, client, action, rest)
        elif action == "simple":
            world.commit(rest[0])
        elif action == "delete":
            world.delete_group()
        elif action == "wait":
            world.advance(rest[0])
        elif action == "slow":
            world.is_durable = False
        elif action in ("settle", "fail") and world.appends:
            world.settle(NONE if action == "settle" else ErrorCode.NOT_ENOUGH_REPLICAS)
        elif action == "settle":
            world.is_durable = True
        elif action == "fail over":
            before = world.committed()
            world.fail_over()
            assert world.committed() == before, "what was to be read is in the log, and nothing else is"
    world.is_durable = True
    while world.appends:
        world.settle()


def act(world: GroupWorld, client: Client, action: str, rest: list[Any]) -> None:
    told = client.told
    generation = -1 if told is None else told.generation
    if action in ("join", "newcomer"):
        member_id = client.member_id if action == "join" else ""
        client.joined = world.join(
            member_id, instance=client.instance, protocols=rest[1], needs_id=True, session_ms=6_000, rebalance_ms=9_000
        )
        client.learn()
    elif told is not None and action == "sync":
        leads = told.leader == told.member_id
        given = {one.member_id: f"{told.generation} {one.member_id}".encode() for one in told.members if leads}
        world.sync(told.member_id, generation, given, instance=client.instance)
    elif action == "heartbeat":
        world.heartbeat(client.member_id, generation, instance=client.instance)
    elif action == "leave":
        world.leave((client.member_id, client.instance))
    elif action == "commit":
        world.commit(rest[1], client.member_id, generation, instance=client.instance)


def long_walk(random: Random) -> list[tuple[Any, ...]]:
    """Clients that mostly do what clients do: such walks reach stable groups of several generations."""
    steps: list[tuple[Any, ...]] = []
    for _ in range(300):
        client = random.randrange(5)
        usual = random.choices(
            ("join", "sync", "heartbeat", "commit", "wait", "settle", "odd"), (30, 30, 12, 14, 4, 10, 10)
        )[0]
        if usual == "odd":
            odd = (("leave", client), ("newcomer", client, PROTOCOLS[1]), ("slow",), ("slow",), ("fail",), ("fail",))
            steps.append(random.choice((*odd, ("fail over",), ("delete",), ("simple", client))))
        elif usual == "wait":
            steps.append(("wait", random.choice((1, 500, 3_000, 9_000))))
        elif usual == "settle":
            steps.append(("settle",))
        elif usual == "join":
            steps.append(("join", client, random.choice(PROTOCOLS)))
        else:
            steps.append((usual, client, random.randrange(100)) if usual == "commit" else (usual, client))
    return steps


class GroupLaws(unittest.TestCase):
    @settings(max_examples=200, deadline=None)
    @given(STEPS)
    def test_short_and_odd(self, steps: list[tuple[Any, ...]]) -> None:
        self.check(steps)

    def test_long_and_usual(self) -> None:
        for seed in range(60):
            with self.subTest(seed=seed):
                self.check(long_walk(Random(seed)))

    def check(self, steps: list[tuple[Any, ...]]) -> None:
        world = GroupWorld(SETTINGS)
        play(world, steps)
        self.check_generations(world.asked)
        self.check_replay(world)
        world.advance(400_000)
        self.assertEqual([asked for asked in world.asked if len(asked.outcomes) != 1], [])

    def check_generations(self, asked: list[Asked]) -> None:
        """By instance where there is one: a static member that comes back has a new id and is the same."""
        joins = [one for one in asked if isinstance(one.event, Join) and one.outcomes and one.code == NONE]
        who = {one.outcome.member_id: one.event.instance_id or one.outcome.member_id for one in joins}
        leaders, protocols, members = dict[Any, str](), dict[Any, str](), dict[Any, set[str]]()
        for life, outcome in [(one.life, one.outcome) for one in joins]:
            generation, leader = (life, outcome.generation), who.get(outcome.leader, outcome.leader)
            self.assertEqual(leaders.setdefault(generation, leader), leader)
            self.assertEqual(protocols.setdefault(generation, outcome.protocol), outcome.protocol)
            if outcome.leader == outcome.member_id:
                told = [member.instance_id or member.member_id for member in outcome.members]
                members.setdefault(generation, set()).update(told)
        for one in joins:
            told = members.get((one.life, one.outcome.generation))
            self.assertTrue(told is None or who[one.outcome.member_id] in told, one)
        for one in asked:
            if isinstance(one.event, Sync) and one.outcomes and one.code == NONE and one.outcome.assignment:
                generation, member_id = one.outcome.assignment.decode().split(" ", 1)
                self.assertEqual(int(generation), one.event.generation)
                self.assertEqual(who.get(member_id, member_id), who[one.event.member_id])

    def check_replay(self, world: GroupWorld) -> None:
        before_offset, before_group = world.committed(), world.group()
        was_stable = not isinstance(before_group, ErrorCode) and before_group.state is GroupState.STABLE
        assignments = {} if not was_stable else self.assignments_of(before_group)
        acknowledged = [
            one.event.offsets[0].offset
            for one in world.asked
            if isinstance(one.event, Commit) and one.outcomes and one.outcome.codes[0] == NONE
        ]
        world.fail_over()
        self.assertEqual(world.committed(), before_offset)
        if before_offset is not None and before_offset.offset not in acknowledged:
            appended_late = [one for one in world.asked if isinstance(one.event, Commit) and one.outcomes]
            self.assertIn(before_offset.offset, [one.event.offsets[0].offset for one in appended_late])
        if was_stable:
            group = world.group()
            self.assertEqual((group.generation, group.state), (before_group.generation, GroupState.STABLE))
            self.assertEqual(self.assignments_of(group), assignments)

    def assignments_of(self, group: Any) -> dict[str, bytes]:
        return {member.member_id: member.assignment for member in group.roster.members.values()}
