"""Who gets a request: policies propose, health and what was tried veto.

| policy | a key's replica | affinity | when one dies | costs |
|---|---|---|---|---|
| ring | the owner, clockwise (policy_ring.py) | yes | only its keys move, to its neighbours | a look-up |
| bounded | the same, no replica above 1.25 times its part | until full | as ring | a look-up, more under load |
| maglev | one table, even shares (policy_maglev.py) | yes | its keys and a few others move | a look-up; a rebuild |
| rendezvous | the highest score (policy_rendezvous.py) | yes | only its keys move, to all | a hash a replica |
| p2c | the less loaded of two (policy_p2c.py) | none | nothing to move | two draws |

`module:Class` is the user's own (policy_user.py). Ours may remember what they made of the last view, and nothing else.
"""

from collections.abc import Callable, Mapping

from loadbalancer.policy_maglev import MaglevPolicy
from loadbalancer.policy_p2c import LeastOfTwoPolicy
from loadbalancer.policy_rendezvous import RendezvousPolicy
from loadbalancer.policy_ring import BoundedPolicy, RingPolicy
from loadbalancer.policy_user import Report, UserPolicy, load
from loadbalancer.policy_view import NOBODY, Policy, View

__all__ = ["NOBODY", "POLICIES", "Policy", "View", "policy"]

POLICIES: Mapping[str, Callable[[], Policy]] = {
    "ring": RingPolicy,
    "bounded": BoundedPolicy,
    "p2c": LeastOfTwoPolicy,
    "maglev": MaglevPolicy,
    "rendezvous": RendezvousPolicy,
}


def policy(name: str, report: Report = lambda fault: None) -> Policy:
    """The policy called `name` in `--policy`, or the user's own by `module:Class`, whose first fault `report` is told.

    ValueError, in one line, if there is none.
    """
    if name in POLICIES:
        return POLICIES[name]()
    if ":" not in name:
        raise ValueError(f"unknown policy {name!r}: {', '.join(POLICIES)} or module:Class")
    return UserPolicy(load(name), report)
