"""What a replica is to Docker."""

import io
import tarfile
import unittest
from typing import Any

from loadbalancer.containers import (
    DockerOptions,
    creation,
    end_reason,
    instance_of,
    is_bundled,
    is_living,
    secret_archive,
    volume_name,
)
from loadbalancer.instances import Instance, ReplicaSpec

SPEC = ReplicaSpec("S5", 7, 3)
OPTIONS = DockerOptions("demo", memory_mb=128, cpus=0.5)
ID = "0123456789abcdef" * 4


def row(**changes: Any) -> dict[str, Any]:
    labels = {"carousel.cluster": "demo", "carousel.node": "7", "carousel.index": "3"}
    settings = {"Networks": {"net1": {"IPAddress": "172.18.0.5"}}}
    return {"Id": ID, "Names": ["/S5"], "State": "running", "Labels": labels, "NetworkSettings": settings, **changes}


class TestQueue(unittest.TestCase):
    OPTIONS = DockerOptions("demo", env={"CONTROL": "lb:5010"}, secret="s3cret", advertised=("localhost", 9093))
    SPEC = ReplicaSpec("S5", 7, 3, slot=2)

    def test_without_a_secret_there_is_none(self) -> None:
        made = creation(OPTIONS, self.SPEC)
        self.assertFalse({"KAFKA_HOST", "ADVERTISED_HOST", "CLUSTER_SECRET_FILE"} & set(made["environment"]))

    def test_its_ports(self) -> None:
        found = creation(self.OPTIONS, self.SPEC)["environment"]
        self.assertEqual(("localhost", "9095"), (found["ADVERTISED_HOST"], found["ADVERTISED_PORT"]))
        self.assertEqual(
            ("9092", "9093", "9094"), tuple(found[f"{it}_PORT"] for it in ("KAFKA", "INTERNAL", "EXTERNAL"))
        )

    def test_without_a_slot_nobody_outside_is_told_of_it(self) -> None:
        found = creation(self.OPTIONS, SPEC)["environment"]
        self.assertFalse({"ADVERTISED_HOST", "ADVERTISED_PORT", "EXTERNAL_PORT"} & set(found))

    def test_it_is_found_by_its_name_and_by_everybodys(self) -> None:
        made = creation(self.OPTIONS, self.SPEC)
        self.assertEqual({"net1": {"Aliases": ["S5", "demo-queue"]}}, made["networking_config"])

    def test_its_slot_is_read_back(self) -> None:
        found = instance_of(row(Labels=creation(self.OPTIONS, self.SPEC)["labels"]), "net1", 5000)
        self.assertEqual(2, found and found.slot)

    def test_the_secret_is_in_a_file_of_its_own_and_nowhere_else(self) -> None:
        self.assertNotIn("s3cret", repr(self.OPTIONS) + repr(creation(self.OPTIONS, self.SPEC)))
        with tarfile.open(fileobj=io.BytesIO(secret_archive("s3cret"))) as archive:
            (entry,) = archive.getmembers()
            told = archive.extractfile(entry)
            self.assertEqual((0o400, 10001, b"s3cret\n"), (entry.mode, entry.uid, told and told.read()))

    def test_a_control_on_the_machine_itself_is_found(self) -> None:
        self.assertEqual({}, creation(self.OPTIONS, SPEC)["extra_hosts"])
        outside = DockerOptions("demo", env={"CONTROL": "host.docker.internal:5010"}, secret="s3cret")
        self.assertEqual({"host.docker.internal": "host-gateway"}, creation(outside, SPEC)["extra_hosts"])
        over_kafka = DockerOptions("demo", env={"CONTROL_HTTP": "http://host.docker.internal:5000"})
        self.assertEqual({"host.docker.internal": "host-gateway"}, creation(over_kafka, SPEC)["extra_hosts"])


class TestCreation(unittest.TestCase):
    def test_its_name_is_everything(self) -> None:
        made = creation(OPTIONS, SPEC)
        self.assertEqual(
            ("S5", "S5", {"net1": {"Aliases": ["S5"]}}), (made["name"], made["hostname"], made["networking_config"])
        )
        self.assertEqual("S5", made["environment"]["SERVER_ID"])

    def test_by_its_number(self) -> None:
        self.assertEqual("3", creation(DockerOptions("demo", id_kind="index"), SPEC)["environment"]["SERVER_ID"])

    def test_its_limits(self) -> None:
        made = creation(OPTIONS, SPEC)
        self.assertEqual(("128m", "128m", 500_000_000), (made["mem_limit"], made["memswap_limit"], made["nano_cpus"]))

    def test_its_volume_is_its_nodes(self) -> None:
        self.assertEqual({"carousel-demo-node-7": {"bind": "/data", "mode": "rw"}}, creation(OPTIONS, SPEC)["volumes"])
        self.assertNotEqual(volume_name("a", 1), volume_name("b", 1))

    def test_docker_never_starts_it_again(self) -> None:
        self.assertEqual({"Name": "no"}, creation(OPTIONS, SPEC)["restart_policy"])

    def test_ours_has_no_rights_and_anothers_what_it_needs(self) -> None:
        ours, other = creation(OPTIONS, SPEC), creation(DockerOptions("demo", image="nginx"), SPEC)
        self.assertEqual((True, ["ALL"]), (ours["read_only"], ours["cap_drop"]))
        self.assertNotIn("read_only", other)
        self.assertEqual(["no-new-privileges"], other["security_opt"])

    def test_which_images_are_ours(self) -> None:
        self.assertTrue(is_bundled("carousel-server") and is_bundled("carousel-server:v2"))
        self.assertFalse(is_bundled("nginx") or is_bundled("carousel-server-of-mine"))

    def test_a_command_of_the_users_own(self) -> None:
        self.assertIsNone(creation(OPTIONS, SPEC)["command"])
        self.assertEqual(["a", "b"], creation(DockerOptions("demo", server_command=("a", "b")), SPEC)["command"])

    def test_what_is_created_is_read_back(self) -> None:
        found = row(Labels=creation(OPTIONS, SPEC)["labels"])
        expected = Instance("S5", 7, 3, "172.18.0.5", 5000, handle=ID, container="0123456789ab")
        self.assertEqual(expected, instance_of(found, "net1", 5000))


class TestReading(unittest.TestCase):
    def test_labels_that_are_no_numbers(self) -> None:
        for labels in (
            {},
            {"carousel.node": "7"},
            {"carousel.node": "x", "carousel.index": "1"},
            {"carousel.node": "²"},
        ):
            with self.subTest(labels):
                self.assertIsNone(instance_of(row(Labels=labels), "net1", 5000))

    def test_one_without_a_name_is_being_removed(self) -> None:
        self.assertIsNone(instance_of(row(Names=[]), "net1", 5000))

    def test_one_that_left_the_network_has_no_address(self) -> None:
        found = instance_of(row(NetworkSettings={"Networks": {"other": {"IPAddress": "10.0.0.1"}}}), "net1", 5000)
        self.assertEqual("", found.host if found else None)

    def test_a_paused_one_lives(self) -> None:
        self.assertTrue(is_living(row(State="paused")))
        self.assertFalse(any(is_living(row(State=state)) for state in ("created", "exited", "dead", "removing")))


class TestEndReason(unittest.TestCase):
    def test_in_the_words_of_processes(self) -> None:
        cases = {"0": "exit 0", "3": "exit 3", "137": "SIGKILL", "143": "SIGTERM", "255": "exit 255", "": "exit "}
        for code, reason in cases.items():
            self.assertEqual(reason, end_reason(code, False))
        self.assertEqual("out of memory", end_reason("137", True))


if __name__ == "__main__":
    unittest.main()
