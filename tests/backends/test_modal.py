"""What is defined for Modal, and all of it that runs without Modal: its containers are processes here."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import re
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.managers import BaseManager
from pathlib import Path

import modal
import pytest
from jobcases import assert_same, run_case, tables
from modal._serialization import deserialize, serialize
from packaging.requirements import Requirement

import adagrid as ada
from adagrid.backends.modal import answer, image_like_here, next_number, requirements, sources
from adagrid.errors import BackendError, InvalidInputError, MissingExtraError
from adagrid.testing import BackendContract

SECRET = "canary-4711-song"


class Shared:
    """As much of modal.Dict as is used."""

    def __init__(self):
        self.held = {}

    def put(self, key, value, *, skip_if_exists=False):
        if skip_if_exists and key in self.held:
            return False
        self.held[key] = value
        return True

    def __getitem__(self, key):
        return self.held[key]


class Server(BaseManager):
    """Serves one to several processes, one call at a time."""


Server.register("Shared", Shared, exposed=["put", "__getitem__"])


class Call:
    """As much of modal.FunctionCall as is used."""

    def __init__(self, future):
        self._future = future

    def get(self, timeout=None, *, index=0):
        return deserialize(self._future.result(timeout), None)

    def cancel(self, terminate_containers=False):
        self._future.cancel()


def contain(function: bytes, arguments: bytes) -> bytes:
    """Run in a process what a container would, from what it would be sent."""
    shared, work, task = deserialize(arguments, None)
    return serialize(deserialize(function, None)(Proxied(shared), work, task))


class Proxied:
    def __init__(self, proxy):
        self._proxy = proxy

    def put(self, key, value, *, skip_if_exists=False):
        return self._proxy.put(key, value, skip_if_exists=skip_if_exists)

    def __getitem__(self, key):
        return self._proxy.__getitem__(key)


@pytest.fixture(scope="module")
def here():
    """Modal, played by two processes."""
    context = multiprocessing.get_context("spawn")
    began = []

    @contextmanager
    def run(self, **_):
        began.append("app")
        yield self
        began.append("end")

    with Server(ctx=context) as server, ProcessPoolExecutor(2, mp_context=context) as pool:

        @contextmanager
        def ephemeral(**_):
            yield server.Shared()

        def spawn(self, *arguments):
            calls.append(arguments)
            return Call(pool.submit(contain, serialize(self._raw_f_), serialize(arguments)))

        calls = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(modal.App, "run", run)
            patch.setattr(modal.Dict, "ephemeral", ephemeral)
            patch.setattr(modal.Function, "spawn", spawn)
            patch.setattr(multiprocessing.current_process(), "authkey", b"here")
            yield type("Here", (), {"began": began, "calls": calls})


@pytest.fixture(scope="module")
def backend(here):
    with ada.ModalBackend(n_workers=2) as backend:
        yield backend
