"""`docker compose up`, talked to from outside as a user does, broken, restarted and taken down without leftovers."""

import unittest

import pytest
from support.compose import compose, eventually, some_commands

from analysis.composed import Composed


class Case(unittest.TestCase):
    def compose(self, command: list[str], **settings: str) -> Composed:
        composed = compose(command, **settings)
        self.addCleanup(composed.clear)
        return composed


@pytest.mark.slow
class TestEveryCompose(Case):
    """From up to down, with each Compose that is here."""

    def test_up_serve_and_down(self) -> None:
        for command in some_commands():
            with self.subTest(command):
                self.check(self.compose(command))

    def check(self, composed: Composed) -> None:
        composed.up()
        self.assertRegex(composed.call("GET", "/home")[1]["message"], f"^Hello from Server: {composed.project}-[123]$")
        self.assertEqual(sorted(composed.names()), sorted(composed.replicas()))
        self.assertEqual("127.0.0.1", composed.front().ports["5000/tcp"][0]["HostIp"])
        down = composed.run("down")
        self.assertEqual(0, down.returncode, down.stderr)
        self.assertEqual(({}, []), (composed.replicas(), composed.networks()))
        self.assertEqual(3, len(composed.volumes()), "the data outlives `down`")


@pytest.mark.slow
class TestComposed(Case):
    """One system for all of it; the order of the parts is that of a day."""

    def setUp(self) -> None:
        self.composed = self.compose(some_commands()[0])
        self.composed.up()

    def test_it_is_changed_from_the_published_port_and_not_by_a_replica(self) -> None:
        name = f"{self.composed.project}-S5"
        status, answer = self.composed.call("POST", "/add", {"n": 1, "hostnames": [name]})
        self.assertEqual((200, 4), (status, answer["message"]["N"]))
        address = self.composed.front().attrs["NetworkSettings"]["Networks"][self.composed.network]["IPAddress"]
        ask = f"import urllib.request as u; u.urlopen('http://{address}:5000/rm', b'n=1')"
        refused = self.composed.replicas()[name].exec_run(["python3", "-c", ask])
        self.assertIn(b"403", refused.output)
        status, answer = self.composed.call("DELETE", "/rm", {"n": 1, "hostnames": [name]})
        self.assertEqual((200, 3), (status, answer["message"]["N"]))
        self.assertTrue(eventually(lambda: name not in self.composed.replicas()))

    def test_a_strangers_name_is_an_error_and_nothing_changed(self) -> None:
        before = self.composed.names()
        status, answer = self.composed.call("POST", "/add", {"n": 1, "hostnames": [self.composed.front().name]})
        self.assertGreaterEqual(status, 400, answer)
        self.assertIn("isn't ours", answer["message"])
        self.assertEqual(before, self.composed.names())
        self.assertEqual("running", self.composed.front().status)

    def test_whatever_ends_a_replica_it_is_replaced(self) -> None:
        for act in ("kill", "stop", "pause"):
            with self.subTest(act):
                name = self.composed.names()[0]
                before = self.volumes()
                getattr(self.composed.replicas()[name], act)()
                self.assertLess(self.composed.until_healthy(3, without_name=name), 10)
                self.assertNotIn(name, self.composed.replicas())
                self.assertEqual(before, self.volumes(), "the replacement takes over the volume")

    def test_the_front_door_is_killed_and_finds_its_fleet_again(self) -> None:
        before = self.composed.ids()
        self.composed.front().kill()
        self.composed.front().start()
        self.composed.until_healthy(3)
        self.assertEqual(before, self.composed.ids())

    def test_it_finds_them_without_its_state_too(self) -> None:
        before = sorted(self.composed.replicas())
        self.composed.front().kill()
        self.composed.front().remove()
        self.composed.client.volumes.get(f"{self.composed.project}_state").remove()
        self.composed.up()
        self.assertEqual(before, sorted(self.composed.names()))

    def test_it_has_no_rights(self) -> None:
        host = self.composed.front().attrs["HostConfig"]
        self.assertEqual((True, ["ALL"], False), (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]))
        self.assertEqual(["no-new-privileges"], host["SecurityOpt"])

    def volumes(self) -> list[str]:
        return sorted(volume.name for volume in self.composed.volumes())


@pytest.mark.slow
class TestWithoutRoot(Case):
    def test_as_another_user_with_the_sockets_group(self) -> None:
        command = some_commands()[0]
        probe = self.compose(command)
        script = "import os; print(os.stat('/var/run/docker.sock').st_gid)"
        mount = {"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "rw"}}
        told = probe.client.containers.run(
            "carousel:latest", ["-c", script], entrypoint="python3", volumes=mount, remove=True
        )
        composed = self.compose(command, CAROUSEL_USER="10001:10001", DOCKER_GID=told.decode().strip())
        composed.up()
        self.assertIn(b"uid=10001", composed.front().exec_run("id").output)
        self.assertEqual(3, len(composed.names()))


if __name__ == "__main__":
    unittest.main()
