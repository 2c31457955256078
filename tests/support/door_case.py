"""What tests of the front door share: a rig of their own that ends with them, on uvloop as the workers are."""

import json
import shutil
import tempfile
from typing import Any

from support.fake_replicas import Answerer, FakeReplica, Rig, Visit
from support.on_uvloop import OnUvloop


async def silent(visit: Visit) -> None:
    """Never answers; ends with its connection."""
    await visit.reader.read(1)


class DoorCase(OnUvloop):
    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)

    async def rig(self, *answers: Answerer, admin: bool = True, proxy: bool = True, **settings: Any) -> Rig:
        rig = Rig(self.directory, **settings)
        await rig.start(*answers, admin=admin, proxy=proxy)
        self.addAsyncCleanup(rig.stop)
        return rig

    async def socket(self, rig: Rig, path: str, answer: Answerer) -> FakeReplica:
        replica = FakeReplica(answer, path)
        await replica.start()
        self.addAsyncCleanup(replica.stop)
        return replica

    def assert_failure(self, body: bytes, message: str) -> None:
        self.assertEqual(json.loads(body), {"message": f"<Error> {message}", "status": "failure"})
