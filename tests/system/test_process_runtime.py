"""The process runtime, held to the contract over a real supervisor, and what only it has to answer for."""

import asyncio
import os
import signal
import sys
import unittest
from pathlib import Path

from support.runtime_contract import RuntimeContract
from support.supervising import REPLICA, Supervising, fetch, python, wait_until

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, RuntimeLost, SpawnError
from loadbalancer.spawn.process import ProcessOptions, ProcessRuntime


class OverSupervisor(RuntimeContract):
    """A supervisor for each test; the generation grows with each runtime made, as it does with each control."""

    command: tuple[str, ...] = tuple(python(REPLICA))
    generation = 0

    async def make(self) -> Runtime:
        if self.generation == 0:
            self.supervising = Supervising(workers=1)
            self.addCleanup(self.supervising.__exit__)
            self.supervising.start()
        self.generation += 1
        return ProcessRuntime(self.options())

    def options(self, **changes: object) -> ProcessOptions:
        fields: dict[str, object] = {
            "supervisor_socket": Path(self.supervising.orders_path),
            "generation": self.generation,
            "nodes_dir": self.supervising.dir / "nodes",
            "logs_dir": self.supervising.dir / "logs",
            "cluster_id": self.supervising.cluster_id,
            "server_command": self.command,
        }
        return ProcessOptions(**{**fields, **changes})

    async def crash(self, instance: Instance) -> None:
        os.kill(instance.pid, signal.SIGKILL)

    async def freeze(self, instance: Instance) -> None:
        os.kill(instance.pid, signal.SIGSTOP)


class TestOwnCommand(OverSupervisor, unittest.IsolatedAsyncioTestCase):
    """A command of the user's own, which listens on $PORT."""

    async def test_a_command_that_is_not_there(self) -> None:
        self.runtime.options = self.options(server_command=("/no/such/server",))
        with self.assertRaisesRegex(SpawnError, "/no/such/server: No such file"):
            await self.runtime.spawn(self.spec(1))
        self.assertEqual([], await self.runtime.list())

    async def test_a_directory_that_can_not_be_made(self) -> None:
        (self.supervising.dir / "file").touch()
        self.runtime.options = self.options(logs_dir=self.supervising.dir / "file" / "logs")
        with self.assertRaisesRegex(SpawnError, "Not a directory"):
            await self.runtime.spawn(self.spec(1))

    async def test_its_output_is_in_its_log(self) -> None:
        self.runtime.options = self.options(server_command=tuple(python("print('what I say')")))
        await self.runtime.spawn(self.spec(1))
        await self.until_exits(1)
        self.assertEqual("exit 0", self.exits[0][2])
        self.assertEqual("what I say\n", (self.supervising.dir / "logs" / "server1.log").read_text())

    async def test_grandchildren_end_with_it_before_its_exit_is_heard(self) -> None:
        forks = "import os, signal; os.fork(); signal.pause()"
        self.runtime.options = self.options(server_command=tuple(python(forks)))
        instance = await self.runtime.spawn(self.spec(1))
        before = len(self.supervising.processes())
        wait_until(lambda: len(self.supervising.processes()) > before - 1, "the grandchild runs")
        await self.crash(instance)
        await self.until_exits(1)
        self.assertEqual(2, len(self.supervising.processes()))  # control and one worker

    async def test_an_old_control_is_refused(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        successor = await self.make()
        await successor.open(lambda *_: None)
        with self.assertRaisesRegex(SpawnError, "generation 1 is over"):
            await self.runtime.spawn(self.spec(2))
        with self.assertRaisesRegex(RuntimeLost, "generation 1 is over"):
            await self.runtime.kill(instance.name)
        with self.assertRaisesRegex(RuntimeLost, "generation 1 is over"):
            await ProcessRuntime(self.options(generation=1)).open(lambda *_: None)
        await self.runtime.close()
        self.runtime = successor

    async def test_no_supervisor(self) -> None:
        runtime = ProcessRuntime(self.options(supervisor_socket=Path("/nowhere.sock")))
        with self.assertRaises(RuntimeLost):
            await runtime.open(lambda *_: None)
        with self.assertRaises(RuntimeLost):
            await runtime.spawn(self.spec(1))

    async def test_a_broken_connection_is_made_anew(self) -> None:
        kept, lost = [await self.runtime.spawn(self.spec(number)) for number in (1, 2)]
        self.runtime._link._writer.transport.abort()
        await self.crash(lost)
        await self.until_exits(1)
        while True:
            try:
                self.assertEqual([kept], await self.runtime.list())
                break
            except RuntimeLost:
                await asyncio.sleep(0.01)
        self.assertEqual([(lost.name, lost.handle)], [exit[:2] for exit in self.exits])

    async def test_the_ready_line_is_printed_once(self) -> None:
        await self.runtime.report_ready(3)
        await self.runtime.report_ready(4)
        log = self.supervising.log()
        self.assertEqual(1, log.count("Carousel is ready"))
        self.assertIn(f"{self.supervising.ports()['url']}, second port", log)
        self.assertIn("3 replicas", log)

    async def test_starts_tell_cold_from_warm(self) -> None:
        self.assertEqual(1, self.runtime.starts)
        old = self.supervising.of("control")["control"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.supervising.of("control").get("control", old) != old, "control is back")
        successor = await self.make()
        await successor.open(lambda *_: None)
        self.assertEqual(2, successor.starts)
        await successor.close()


class TestBundled(OverSupervisor, unittest.IsolatedAsyncioTestCase):
    """The bundled server, on the socket that is handed down to it."""

    command = ()

    async def test_it_is_told_who_it_is(self) -> None:
        self.runtime.options = self.options(home_format="I am [{id}]", id_kind="index")
        instance = await self.runtime.spawn(ReplicaSpec("server9", 77, 4))
        self.assertIn(b"I am [4]", await self.until_it_answers(instance))
        self.assertTrue((self.supervising.dir / "nodes" / "77").is_dir())

    async def test_the_socket_is_its_own(self) -> None:
        """Once it is dead, its port refuses: no copy of the socket is left in the supervisor."""
        instance = await self.runtime.spawn(self.spec(1))
        await self.until_it_answers(instance)
        await self.runtime.kill(instance.name)
        with self.assertRaises(ConnectionRefusedError):
            await fetch(instance.host, instance.port)

    async def test_the_front_doors_own_settings_stay_with_it(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        environ = Path(f"/proc/{instance.pid}/environ").read_bytes().split(b"\0")
        own = [word for word in environ if word.startswith(b"CAROUSEL_")]
        self.assertEqual([f"CAROUSEL_CLUSTER={self.supervising.cluster_id}".encode()], own)
        self.assertIn(sys.executable.encode(), Path(f"/proc/{instance.pid}/cmdline").read_bytes())


if __name__ == "__main__":
    unittest.main()
