"""Two thousand files and folders that somebody may send: each is a sound job or ends in an error of ours."""

from __future__ import annotations

from collections import Counter

from studies.outside.batches import tried

NUMBER = 2000


def test_whatever_is_sent(tmp_path):
    found = list(tried(tmp_path, 0, NUMBER))
    assert [each for each in found if each.outcome.startswith("FAILED")] == []
    outcomes = Counter(each.outcome for each in found)
    assert len(found) == NUMBER
    assert outcomes["sound"] > NUMBER / 20 < outcomes["CorruptStoreError"]
    assert {each.what.partition(":")[0] for each in found} > {"statement", "record", "table", "links", "flip"}
