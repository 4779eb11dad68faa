"""
Properties of L{fastpoetry.protocol} that hold whatever happens, in whatever order:
Hypothesis chooses what happens.

Every run of these tests is the same as the last.  For a long run, which is
different each time, say how many examples of each property it is to try::

    FASTPOETRY_EXAMPLES=100000 python -m twisted.trial tests.test_protocol_properties
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection import factory
from fastpoetry.connection.delivery import FIN_TIMEOUT
from fastpoetry.connection.readquota import READ_PAUSE, READ_QUOTA
from tests.play import READ, SWEEP, Plan, Play, tries

SIZES = st.one_of(
    st.integers(0, 3000),
    st.sampled_from(
        [READ - 1, READ, READ + 1, READ_QUOTA - 1, READ_QUOTA, READ_QUOTA + 1, 2**20]
    ),
)
FLOODS = st.one_of(SIZES, st.sampled_from([READ_QUOTA, 3 * READ_QUOTA]))
ROOMS = st.one_of(SIZES, st.just(2**22))
PLANS = st.builds(
    Plan,
    st.integers(0, 1000),
    st.one_of(SIZES, st.sampled_from([2 * READ, 2 * READ + 1, 2**21 + 7])),
    st.sampled_from([*["at once"] * 6, *["later"] * 3, "fails"]),
    ROOMS,
    st.booleans(),
    st.booleans(),
)
TIMEOUTS = st.sampled_from([40.0, 60.0, 1.0, 7.3])
GRACES = st.sampled_from([30.0, 0.0, 5.0, 200.0])
SECONDS = st.sampled_from([0.0, READ_PAUSE, 1.0, FIN_TIMEOUT, 2 * FIN_TIMEOUT])
PARTS = st.one_of(st.sampled_from([0.1, 0.25, 0.5, 0.99, 1.0]), st.floats(0, 1.3))
PACES = st.sampled_from([0.0, 0.5, 0.99])
_ARGUMENTS: dict[str, list[st.SearchStrategy[Any]]] = {
    "take": [SIZES],
    "say": [FLOODS],
    "room": [ROOMS],
    "answer": [st.booleans()],
    "halfClose": [],
    "reset": [],
}
# What happens more often than other things stands here more than once.
_NAMES = [*["take"] * 14, *["say", "room", "answer"] * 6, *["halfClose"] * 4, "reset"]


def operations(readers: int) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """
    @return: what may happen to this many readers and their server.
    """
    reader = st.sampled_from(_NAMES).flatmap(
        lambda name: st.tuples(
            st.just("reader"),
            st.integers(0, readers - 1),
            st.just(name),
            *_ARGUMENTS[name],
        )
    )
    wait = st.one_of(
        st.tuples(st.just("wait"), SECONDS), st.tuples(st.just("waitPart"), PARTS)
    )
    stop = st.sampled_from([("stop",), ("stop",), ("abort",)])
    each = st.sampled_from([reader] * 10 + [wait] * 6 + [stop]).flatmap(lambda one: one)
    # By itself a list would seldom have more than ten.
    return st.one_of(st.lists(each), st.lists(each, min_size=15, max_size=40))


class ProtocolProperties(SynchronousTestCase):
    """
    Properties of L{fastpoetry.protocol.PoetryProtocol} over TCP.
    """

    def setUp(self) -> None:
        """
        Sweep less often.
        """
        self.patch(factory, "SLOW_TICK", SWEEP)

    @tries(400)
    @given(PLANS, operations(1), TIMEOUTS, GRACES, PACES)
    def test_reader(
        self,
        plan: Plan,
        operations: list[tuple[Any, ...]],
        timeout: float,
        grace: float,
        pace: float,
    ) -> None:
        """
        Whatever a reader, its kernel, the source of the poem and the operator
        do: the reader has the beginning of the poem, sees a clean end only with
        all of it, is cut short only for a reason, and then by a reset; it is
        read a quota at a time; its connection ends in time, and leaves nothing.
        """
        Play(self, [plan], timeout, grace).run(operations, pace)

    @tries(250)
    @given(
        st.lists(PLANS, min_size=2, max_size=3), operations(3), TIMEOUTS, GRACES, PACES
    )
    def test_company(
        self,
        plans: list[Plan],
        operations: list[tuple[Any, ...]],
        timeout: float,
        grace: float,
        pace: float,
    ) -> None:
        """
        All that is as true of readers in company.
        """
        Play(self, plans, timeout, grace).run(operations, pace)
