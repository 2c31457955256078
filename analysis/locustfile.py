"""The same load for those who use Locust, which is not a dependency of ours: `pip install locust`, then

    locust -f analysis/locustfile.py --headless -u 100 -t 30s --host http://127.0.0.1:5000

Each request carries a six-digit key in the header that the analyses use (start the front door with
`--route-by header:X-Key` to route by it) and counts under the name of the replica that answered.
"""

# pyright: basic, reportMissingImports=false

import random
from typing import Any

from locust import FastHttpUser, constant, events, task

SEED = 1
KEY_HEADER = "X-Key"

keys = random.Random(SEED)


class Client(FastHttpUser):
    """A client that asks again as soon as it was answered."""

    wait_time: Any = constant(0)

    @task
    def home(self) -> None:
        """GET /home, judged by its body and counted by its replica."""
        key = str(keys.randint(100_000, 999_999))
        client: Any = self.client
        with client.get("/home", headers={KEY_HEADER: key}, catch_response=True) as answer:
            try:
                answer.request_meta["name"] = answer.json()["message"].split()[-1]
            except (ValueError, KeyError, AttributeError, TypeError, IndexError):
                answer.failure(f"not the answer of /home: status {answer.status_code}")


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """The run fails if any request did."""
    environment.process_exit_code = int(environment.stats.total.num_failures > 0)
