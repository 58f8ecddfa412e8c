"""What somebody else sends reads no file, runs nothing, and ends in an error of ours or is a sound job."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata

import duckdb
import pytest
from typer.testing import CliRunner

import adagrid as ada
from adagrid.cli import app
from adagrid.copies.manifest import MANIFEST
from adagrid.errors import CorruptStoreError, NotAJobError, StoreError
from studies.outside.batches import tried
from studies.outside.mutations import NASTY, STATEMENTS, seal
from studies.outside.originals import SECRET, copied, make

SAMPLE = 16


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside") / "originals"
    make(folder)
    return folder


@pytest.fixture
def sent(originals, tmp_path):
    """Copies an original, changes a database by statements, and returns where it is."""

    def copy(kind="classic.duckdb", sql=""):
        place = copied(originals, kind, tmp_path / "work")
        if sql:
            with duckdb.connect(str(place)) as connection:
                secret = place.parents[1] / "secret"
                connection.execute(sql.replace("{secret}", f"{secret}.txt").replace("{csv}", f"{secret}.csv"))
        return place

    return copy


def test_a_sample_of_what_may_be_sent(originals):
    """`studies/outside` has 2,000 of them."""
    found = list(tried(originals.parent, 0, SAMPLE))
    assert len(found) == SAMPLE
    assert [each for each in found if each.outcome.startswith("FAILED")] == []
    assert {"sound", "CorruptStoreError", "NotAJobError"} <= {each.outcome for each in found}


# Databases


@pytest.mark.parametrize("sql", STATEMENTS[:21], ids=lambda sql: sql[:40])
def test_nothing_but_tables(sent, sql):
    """Views, macros and the like, also those that would change what looks for them."""
    if sql.startswith("create trigger") and int(duckdb.__version__.split(".")[0]) < 2:
        pytest.skip("this version of the engine has no triggers")
    place = sent(sql=sql)
    for read in (ada.open_job, ada.open_view, lambda path: ada.copy_job(path, path.with_name("copy.duckdb"))):
        with pytest.raises(
            StoreError, match=r"(is not opened|holds no adagrid job).*(the \w+ '|not as a job has)"
        ) as told:
            read(place)
        assert SECRET not in str(told.value)
    assert os.listdir(place.parent) == [place.name]


def test_a_function_that_is_replaced_is_not_called(sent):
    """With it, `verify` would find that 1 + 1 is 7."""
    with pytest.raises(CorruptStoreError, match=r"the macro '\+'"):
        ada.open_job(sent(sql='create macro "+"(a, b) as 7'))


@pytest.mark.parametrize(
    "sql",
    [
        "alter table tiles add column extra double",
        "alter table tiles alter id type double",
        'alter table tiles rename volume to "vol""ume"',
        "alter table logs alter message set default 'x'",
    ],
)
def test_tables_as_the_schema_has_them(sent, sql):
    with pytest.raises(CorruptStoreError, match="not as a job has them.*(tiles|logs)"):
        ada.open_job(sent(sql=sql))


@pytest.mark.parametrize("dim", ["1000000000", "1e300", "-1", "true", '"1"', "2"])
def test_absurd_definitions(sent, dim):
    with pytest.raises(CorruptStoreError, match="tables that no job has|not as a job has them"):
        ada.open_job(sent(sql=f"""update schema set definition = replace(definition, '"dim": 1', '"dim": {dim}')"""))


def test_more_rows_than_bytes(sent):
    with pytest.raises(CorruptStoreError, match="more rows than .* bytes can hold"):
        ada.open_job(sent(sql="insert into logs select 1, 1.0, 'INFO', 'x', 'y' from range(4000000)"))


@pytest.mark.parametrize("value", ["null", "'nan'"])
def test_missing_values_are_noticed(sent, value):
    """Of a column that no relation but comparisons with it would read: they hold for what compares with nothing."""
    with ada.open_job(sent(sql=f"update tiles set volume = {value}")) as run:
        with pytest.raises(CorruptStoreError, match="values are missing in tiles"):
            run.verify()
        with pytest.raises(CorruptStoreError, match="tiles has missing values, NaN or other types .* volume"):
            run.table("tiles")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("update config set record = replace(record, '\"n_zones\":1', '\"n_zones\":1000000000000')", "changed since"),
        ("update config set record = repeat('[', 100000)", "changed since"),
        ("update reports set content = '[]'", "values that no job has"),
        ('update reports set content = \'{"status": "OWNED"}\'', "values that no job has"),
    ],
)
def test_texts_that_no_job_has_written(sent, sql, words):
    with pytest.raises(StoreError, match=words):
        ada.open_job(sent(sql=sql))


# Exports


def test_files_elsewhere(sent):
    """Even with the checksums that they have."""
    place = sent("classic-parquet")
    file = place / MANIFEST
    manifest = json.loads(file.read_text())
    for name in ("../../secret.csv", str(place.parents[1] / "secret.csv")):
        file.write_text(json.dumps({**manifest, "files": {**manifest["files"], name: {"rows": 1, "sha256": ""}}}))
        seal(place)
        with pytest.raises(CorruptStoreError, match=r"secret\.csv.* is no part of an export"):
            ada.import_job(place)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links(sent, link):
    place = sent("classic-csv")
    file = place / "logs.csv.gz"
    shutil.move(file, place.parents[1] / file.name)
    link(place.parents[1] / file.name, file)
    with pytest.raises(CorruptStoreError, match=r"logs\.csv\.gz is no file of its own"):
        ada.import_job(place)


def test_more_than_the_manifest_says(sent):
    place = sent("classic-parquet")
    (place / "more.parquet").write_bytes(b"")
    with pytest.raises(CorruptStoreError, match=r"'more\.parquet' is no part of an export"):
        ada.import_job(place)


@pytest.mark.parametrize(("rows", "words"), [(10**12, "cannot have as many rows"), (-1, "greater than or equal to 0")])
def test_absurd_numbers_of_rows(sent, rows, words):
    place = sent("classic-parquet")
    manifest = json.loads((place / MANIFEST).read_text())
    manifest["files"]["tiles.parquet"]["rows"] = rows
    (place / MANIFEST).write_text(json.dumps(manifest))
    seal(place)
    with pytest.raises(CorruptStoreError, match=words):
        ada.import_job(place)


# Texts


@pytest.mark.parametrize("text", [each for each in NASTY if "\0" not in each], ids=lambda text: ascii(text[:12]))
def test_texts_are_displayed_as_text(sent, text):
    """Nothing that a terminal or rich obeys, neither in a summary nor in what the command line shows, nor in errors."""
    place = sent()
    with duckdb.connect(str(place)) as connection:
        (record,) = connection.execute("select record from config").fetchone()
        record = json.loads(record)
        record["job_id"] = text
        record["model"]["arguments"]["name"] = text
        connection.execute("update config set record = ?", [json.dumps(record)])
        connection.execute("update null_hypos set description = ?", [text])
    with ada.open_job(place) as run:
        shown = [run.summary(), repr(run), str(NotAJobError(f"of {text}"))]
        assert run.table("null_hypos")["description"][0] == text  # copies are exact
    for command in (["show"], ["watch"]):
        answer = CliRunner().invoke(app, [*command, str(place)])
        assert answer.exit_code == 0, answer.output
        shown.append(answer.output)
    for each in shown:
        obeyed = {letter for letter in each if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")}
        assert obeyed <= {"\n", "\t"}
