"""Tests that take long run in part, so that the whole suite fits into CI; ADAGRID_ALL_TESTS=1 runs all of them."""

from __future__ import annotations

import os

import pytest

THOROUGH = bool(os.environ.get("ADAGRID_ALL_TESTS"))
thorough = pytest.mark.skipif(not THOROUGH, reason="takes minutes: ADAGRID_ALL_TESTS=1 runs it")
