"""The machines of one run on Amazon EC2, known by their tag: what they are made from, and their end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from adagrid._optional import require
from adagrid.errors import BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

TAG = "adagrid-run"
"""Every machine of a run has this tag from the moment that it exists; its value is the run's own."""

# Owner and name of the images of machines: Ubuntu by Canonical; for GPUs Amazon's, with drivers and Docker.
_IMAGES = {
    ("x86_64", False): ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"),
    ("arm64", False): ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"),
    ("x86_64", True): ("amazon", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"),
    ("arm64", True): ("amazon", "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"),
}
# What costs money or may come back to it; machines that shut down, or have, do not.
_ALIVE = ["pending", "running", "stopping", "stopped"]
# No machine of the run may be found this often, so many seconds apart: one that was asked for last may show up late.
_LOOKS, _PAUSE = 2, 5.0
# Looks in all.
_PATIENCE = 24


@final
@dataclass(frozen=True)
class Image:
    """What a machine starts from.

    Args:
        id: of the image, "ami-...".
        size: GB of its disk.
    """

    id: str
    size: int


@final
class Machines:
    """Machines of a run.

    Args:
        run: the run's own name, the value of their tag.
        region: where they are; that of the person's AWS configuration if None.

    Raises:
        InvalidInputError: if no region is known.
        MissingExtraError: if the AWS client is not installed.
    """

    def __init__(self, run: str, region: str | None) -> None:
        require("botocore", "aws")
        self._errors = require("botocore.exceptions", "aws")
        config = require("botocore.config", "aws").Config(
            retries={"max_attempts": 10, "mode": "standard"}, connect_timeout=10, read_timeout=30
        )
        session = require("botocore.session", "aws").get_session()
        try:
            self._client = session.create_client("ec2", region_name=region, config=config)
        except self._errors.NoRegionError as error:
            raise InvalidInputError(
                f"region must be one of AWS's, such as 'eu-central-1', or be in your AWS configuration; got {region!r}."
            ) from error
        self._run = run
        self.region = str(self._client.meta.region_name)

    def architecture(self, instance_type: str, gpu: bool) -> str:
        """Return the architecture of a type of machine, "x86_64" or "arm64".

        Raises:
            InvalidInputError: if there is no such type in the region, or it has no GPU though one is wanted.
            BackendError: if AWS cannot be asked.
        """
        try:
            [described] = self._client.describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]
        except self._errors.ClientError as error:
            if error.response["Error"]["Code"] != "InvalidInstanceType":
                raise self.failure(error) from error
            raise InvalidInputError(
                f"instance_type must be one that {self.region} has, such as 'c7i.4xlarge'; got {instance_type!r}."
            ) from error
        except self._errors.BotoCoreError as error:
            raise self.failure(error) from error
        if gpu and "GpuInfo" not in described:
            raise InvalidInputError(
                f"gpu=True needs an instance_type with a GPU, such as 'g5.xlarge'; got {instance_type!r}."
            )
        return "arm64" if "arm64" in described["ProcessorInfo"]["SupportedArchitectures"] else "x86_64"

    def image(self, given: str | None, architecture: str, gpu: bool) -> Image:
        """Return the image with an id, or else the newest that fits.

        Raises:
            InvalidInputError: if there is none in the region.
            BackendError: if AWS cannot be asked.
        """
        try:
            if given is not None:
                found = self._client.describe_images(ImageIds=[given])["Images"]
            else:
                owner, name = _IMAGES[architecture, gpu]
                found = self._client.describe_images(Owners=[owner], Filters=[{"Name": "name", "Values": [name]}])[
                    "Images"
                ]
        except (self._errors.ClientError, self._errors.BotoCoreError) as error:
            raise self.failure(error) from error
        if not found:
            raise InvalidInputError(
                f"There is no image {given or name!r} in {self.region}: pass ami= one of Debian's kind with Docker"
                f"{' and the drivers of NVIDIA' if gpu else ''}."
            )
        newest = max(found, key=lambda image: str(image["CreationDate"]))
        disks = [disk["Ebs"].get("VolumeSize", 0) for disk in newest["BlockDeviceMappings"] if "Ebs" in disk]
        return Image(newest["ImageId"], max(disks, default=0))

    def alive(self) -> list[str]:
        """Return the ids of the run's machines that are not at their end."""
        filters = [{"Name": f"tag:{TAG}", "Values": [self._run]}, {"Name": "instance-state-name", "Values": _ALIVE}]
        pages = self._client.get_paginator("describe_instances").paginate(Filters=filters)
        return [
            machine["InstanceId"]
            for page in pages
            for reservation in page["Reservations"]
            for machine in reservation["Instances"]
        ]

    def terminate(self) -> None:
        """End all machines of the run, whoever started them, and see that none is left.

        Raises:
            BackendError: if machines may be left, with what to do.
        """
        with _undisturbed():
            quiet, error = 0, None
            for _ in range(_PATIENCE):
                try:
                    ids = self.alive()
                    if ids:
                        self._client.terminate_instances(InstanceIds=ids)
                    quiet, error = 0 if ids else quiet + 1, None
                except (self._errors.ClientError, self._errors.BotoCoreError) as failure:
                    error = failure
                if quiet == _LOOKS:
                    return
                time.sleep(_PAUSE)
        raise BackendError(
            f"Machines with the tag {TAG}={self._run} in {self.region} may still be running, and cost money: look, and "
            "terminate them, as the section AWS of docs/distributed.md says. Left alone they end when they have been "
            f"idle, or max_hours after they began. {'' if error is None else self.failure(error)}"
        ) from error

    def failure(self, error: BaseException) -> BackendError:
        """Return what to tell about an error of the AWS client, or of what was started with it."""
        causes = [error]
        while above := causes[-1].__cause__ or causes[-1].__context__:
            causes.append(above)
        for cause in causes:
            if isinstance(cause, BackendError):
                return cause
        known = (self._errors.ClientError, self._errors.BotoCoreError)
        cause = next((cause for cause in causes if isinstance(cause, known)), error)
        return BackendError(
            f"AWS did not do as asked in {self.region}: {cause} Check the credentials (aws sts get-caller-identity), "
            "the permissions, quotas and network, as in docs/distributed.md. Everything finished before is saved."
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no Ctrl-C, nor SIGTERM, interrupt what ends machines. Only the main thread gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def tell(*_: object) -> None:
        _logger.warning("ending machines that cost money: this takes some seconds")

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
