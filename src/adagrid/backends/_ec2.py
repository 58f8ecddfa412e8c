"""Machines of one run on Amazon EC2: their images, and their termination by tag."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from adagrid._optional import require
from adagrid.errors import AdagridError, BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

TAG = "adagrid-run"
"""Tag that every machine has from its launch; the value is unique to the run."""

# Owner and name of machine images by architecture and GPU: Canonical's Ubuntu, or Amazon's with drivers and Docker.
_IMAGES = {
    ("x86_64", False): ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"),
    ("arm64", False): ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"),
    ("x86_64", True): ("amazon", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"),
    ("arm64", True): ("amazon", "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"),
}
# States that cost money or may lead back to one that does; "shutting-down" and "terminated" do neither.
_ALIVE = ["pending", "running", "stopping", "stopped"]
# Termination ends after this many searches in a row without a machine, so many seconds apart: AWS lists new ones late.
_LOOKS, _PAUSE = 2, 5.0
# Searches at most.
_PATIENCE = 24


@final
@dataclass(frozen=True)
class Image:
    """An Amazon machine image.

    Args:
        id: its id, "ami-...".
        size: its disk in GB.
    """

    id: str
    size: int


@final
class Machines:
    """The machines of one run.

    Args:
        run: value of their tag, unique to the run.
        region: AWS region; the one in the user's AWS configuration if None.

    Raises:
        InvalidInputError: if no region is known.
        MissingExtraError: if the AWS client is not installed.
    """

    def __init__(self, run: str, region: str | None) -> None:
        errors = require("botocore.exceptions", "aws")
        self._refusals: tuple[type[Exception], ...] = (errors.ClientError, errors.BotoCoreError)
        config = require("botocore.config", "aws").Config(
            retries={"max_attempts": 10, "mode": "standard"}, connect_timeout=10, read_timeout=30
        )
        session = require("botocore.session", "aws").get_session()
        try:
            self._client = session.create_client("ec2", region_name=region, config=config)
        except errors.NoRegionError as error:
            raise InvalidInputError(
                f"region must be one of AWS's, such as 'eu-central-1', or be in your AWS configuration; got {region!r}."
            ) from error
        self._run = run
        self.region = str(self._client.meta.region_name)

    def architecture(self, instance_type: str, gpu: bool) -> str:
        """Return the architecture of an instance type, "x86_64" or "arm64".

        Raises:
            InvalidInputError: if the region has no such type, or the type has no GPU although `gpu` is True.
            BackendError: if AWS refuses or cannot be reached.
        """
        wanted = [{"Name": "instance-type", "Values": [instance_type]}]
        found = self._listed("describe_instance_types", "InstanceTypes", Filters=wanted)
        if not found:
            raise InvalidInputError(
                f"instance_type must be one that {self.region} has, such as 'c7i.4xlarge'; got {instance_type!r}."
            )
        if gpu and "GpuInfo" not in found[0]:
            raise InvalidInputError(
                f"gpu=True needs an instance_type with a GPU, such as 'g5.xlarge'; got {instance_type!r}."
            )
        return "arm64" if "arm64" in found[0]["ProcessorInfo"]["SupportedArchitectures"] else "x86_64"

    def image(self, given: str | None, architecture: str, gpu: bool) -> Image:
        """Return the given machine image, or the newest one that fits.

        Raises:
            InvalidInputError: if the region has no such image.
            BackendError: if AWS refuses or cannot be reached.
        """
        owner, name = _IMAGES[architecture, gpu]
        newest = {"Owners": [owner], "Filters": [{"Name": "name", "Values": [name]}]}
        found = self._listed("describe_images", "Images", **(newest if given is None else {"ImageIds": [given]}))
        if not found:
            raise InvalidInputError(
                f"There is no image {given or name!r} in {self.region}: pass ami= one of Debian's kind with Docker"
                f"{' and the drivers of NVIDIA' if gpu else ''}."
            )
        image = max(found, key=lambda image: str(image["CreationDate"]))
        disks = [disk["Ebs"].get("VolumeSize", 0) for disk in image["BlockDeviceMappings"] if "Ebs" in disk]
        return Image(image["ImageId"], max(disks, default=0))

    def alive(self) -> list[str]:
        """Return the ids of the run's machines that have not been terminated."""
        filters = [{"Name": f"tag:{TAG}", "Values": [self._run]}, {"Name": "instance-state-name", "Values": _ALIVE}]
        return self._listed("describe_instances", "Reservations[].Instances[].InstanceId", Filters=filters)

    def terminate(self) -> None:
        """Terminate all machines with the run's tag, until none is found.

        Raises:
            BackendError: if machines may still be running, with the remedy.
        """
        quiet, failure = 0, None
        with _undisturbed():
            for _ in range(_PATIENCE):
                try:
                    with self.reporting():
                        ids = self.alive()
                        if ids:
                            self._client.terminate_instances(InstanceIds=ids)
                    quiet, failure = 0 if ids else quiet + 1, None
                except BackendError as error:
                    failure = error
                if quiet == _LOOKS:
                    return
                time.sleep(_PAUSE)
        raise BackendError(
            f"Machines with the tag {TAG}={self._run} in {self.region} may still be running, and cost money. Find and "
            "terminate them as the section AWS of docs/distributed.md says. Otherwise they end when they have been "
            f"idle, or max_hours after they started. {failure or ''}"
        ) from failure

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Raise errors of AWS, and of libraries that call it, as BackendError."""
        try:
            yield
        except AdagridError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _listed(self, operation: str, path: str, **query: Any) -> list[Any]:
        """Return what all pages of a read-only operation have at a JMESPath."""
        with self.reporting():
            return list(self._client.get_paginator(operation).paginate(**query).search(path))

    def _failure(self, error: BaseException) -> BackendError:
        """Return the outermost error of AWS, or of adagrid, in a chain of causes as a BackendError."""
        known: tuple[type[Exception], ...] = (BackendError, *self._refusals)
        cause = error
        while not isinstance(cause, known) and (below := cause.__cause__ or cause.__context__):
            cause = below
        if isinstance(cause, BackendError):
            return BackendError(*cause.args)
        return BackendError(
            f"AWS did not do as asked in {self.region}: {cause if isinstance(cause, known) else error} Check the "
            "credentials (aws sts get-caller-identity), the permissions, quotas and network, as in "
            "docs/distributed.md. Everything finished before is saved."
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM while machines are terminated; only the main thread receives them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def warn(*_: object) -> None:
        _logger.warning("terminating machines that cost money: this takes a few seconds")

    before = {number: signal.signal(number, warn) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
