"""Listing needs a server, dropping a job's name."""

from __future__ import annotations

import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError


@pytest.mark.parametrize(
    "url", ["clickhouse://localhost", "clickhouse://localhost/", "clickhouse://localhost:1?secure=true"]
)
def test_dropping_needs_a_name(url):
    with pytest.raises(InvalidInputError, match="job_id at the end"):
        ada.drop_job(url, confirm="")


@pytest.mark.parametrize("url", ["clickhouse://db.example.org/job", "clickhouse://localhost/a;b"])
def test_listing_needs_a_server(url):
    with pytest.raises(InvalidInputError, match="without a job_id"):
        ada.list_jobs(url)
