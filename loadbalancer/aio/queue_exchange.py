"""A call of the queue's HTTP interface, on its way to a replica (specs/queue-http-api.md).

It goes through as any request does, but for three things. What a replica has perhaps begun is never begun again, not
even by a GET: `GET /consumer/consume` moves a cursor. So only a try that never left us is followed by another, nothing
goes out on a connection that may be ending, and there is no hedge. Calls of one consumer go to one replica, which
remembers where that consumer is; any other goes to the less loaded of two, whatever --policy says for applications'
requests. And it is counted as what it is.
"""

from loadbalancer.aio.exchange import Exchange
from loadbalancer.aio.upstreams import Pool
from loadbalancer.counters import NOBODY, QUEUE
from loadbalancer.retry import Phase


class QueueExchange(Exchange):
    """`begin` sends it."""

    keyed: bool = False
    """Whether `key` stands for a consumer."""

    def begin(self, key: int, keyed: bool) -> None:
        self.key, self.keyed = key, keyed
        self.repeatable = False
        self.door.replicas.first_queue_try(self)

    def move(self, pool: Pool) -> None:
        super().move(pool)
        if self.pool is pool:
            self.codes = self.door.counters.codes(QUEUE, pool.node_id)

    @property
    def plain(self) -> bool:
        """The short way back counts for the pool's own route."""
        return False

    def retriable(self) -> bool:
        return self.phase == Phase.UNSENT

    def _count(self, code_class: int, whole: bool = True) -> None:
        if self.codes is None:
            self.codes = self.door.counters.codes(QUEUE, NOBODY)
        super()._count(code_class, whole)
