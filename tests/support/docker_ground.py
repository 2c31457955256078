"""A corner of the real Docker engine for one test: a cluster id, network and names of its own, and nothing left of it.

Without an engine its tests are skipped, unless REQUIRE names docker (as CI does): then they fail.
"""

import gc
import os
import secrets
import unittest
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

try:
    import docker as sdk
    from docker.errors import DockerException, ImageNotFound, NotFound
except ImportError:  # the skip says so
    sdk = None  # type: ignore[assignment]

IMAGE = os.environ.get("CAROUSEL_TEST_IMAGE", "carousel-server:latest")


def engine_or_skip(image: str = IMAGE) -> Any:
    """A client of the engine on which the image is; else SkipTest, or the failure that REQUIRE asks for."""
    if sdk is None:
        return without("the docker package is not installed")
    client = _client()
    if isinstance(client, str):
        with warnings.catch_warnings():  # the SDK leaves the socket that was refused open, for some later test to blame
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        return without(f"no Docker engine: {client}")
    try:
        client.images.get(image)
    except ImageNotFound:
        client.close()
        return without(f"no image {image}: make build")
    return client


def _client() -> Any:
    """The SDK's, or in words why there is none."""
    try:
        return sdk.from_env(timeout=60)
    except DockerException as error:
        return str(error)


def without(reason: str) -> Any:
    if "docker" in os.environ.get("REQUIRE", "").split(","):
        raise AssertionError(reason)
    raise unittest.SkipTest(reason)


class DockerGround:
    """`client` is the SDK's, for what happens from outside."""

    def __init__(self) -> None:
        self.client = engine_or_skip()
        self.cluster_id = f"test-{secrets.token_hex(4)}"
        self.network = f"carousel-{self.cluster_id}"

    def name(self, number: int) -> str:
        """Unique on the engine, where every name is taken once."""
        return f"{self.cluster_id}-{number}"

    def containers(self) -> list[Any]:
        return self.client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"carousel.cluster={self.cluster_id}"}
        )

    def volumes(self) -> list[Any]:
        return self.client.volumes.list(filters={"label": f"carousel.cluster={self.cluster_id}"})

    @contextmanager
    def stranger(self, **keywords: Any) -> Iterator[Any]:
        """A running container that is none of ours."""
        container = self.client.containers.run(IMAGE, detach=True, **keywords)
        try:
            yield container
        finally:
            container.remove(force=True)

    def clear(self) -> None:
        for container in self.containers():
            with suppress(NotFound):
                container.remove(force=True, v=True)
        for network in self.client.networks.list(names=[f"^{self.network}$"]):
            network.remove()
        for volume in self.volumes():
            volume.remove(force=True)
        self.client.close()
