"""What somebody else may send: mutations of sound jobs, each the same for the same number."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adagrid.copies.manifest import MANIFEST, digest, digest_of

Change = Callable[[Path, random.Random], str]

# Texts that a terminal, a page or a parser could obey.
NASTY = (
    "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "‮⁦abc", "<script>alert(1)</script>", "[bold red]x[/]", "[/]",
    "a\x00b", "line\nline", "$x^{$", "`rm -rf`", "x" * 100_000, "é\u2028\u2029﻿", "[link=file:///etc/passwd]y[/link]",
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    None, True, -1,
    0, 2**31, 2**63, 10**12, 10**30, -(10**400), 0.5, 1e308, float("nan"), float("inf"), "7", "", [], {},
    [[]], "clickhouse://x", "../../secret.txt", *NASTY,
)  # fmt: skip
_BLOCKS, _BLOCK = 3 * 4096, 2**18


# Bytes


def flip(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes() or b"\0")
    n = rng.choice([1, 1, 3, 50, 2000])
    for _ in range(n):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return f"{n} bits of {file.name} flipped"


def truncate(file: Path, rng: random.Random) -> str:
    size = rng.choice([0, 1, 100, 4096, 12288, rng.randrange(file.stat().st_size)])
    os.truncate(file, size)
    return f"{file.name} cut to {size} bytes"


def overwrite(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    start, n = rng.randrange(len(content)), rng.choice([8, 512, 65536])
    content[start : start + n] = rng.choice([b"\0" * n, b"\xff" * n, rng.randbytes(n), content[:n]])
    file.write_bytes(content)
    return f"{n} bytes of {file.name} overwritten"


def extend(file: Path, rng: random.Random) -> str:
    with file.open("ab") as stream:
        stream.write(rng.randbytes(rng.choice([1, 4096, 300_000])))
    return f"{file.name} is longer"


def resealed(file: Path, rng: random.Random) -> str:
    """Change bytes of a database that mean something, and let the checksums be right."""
    content = np.fromfile(file, np.uint8)
    used = np.flatnonzero(content[: len(content)])
    used = used[used >= 8]
    if rng.random() < 0.7:  # the first block has the catalog
        used = used[used < _BLOCKS + 2 * _BLOCK]
    n = rng.choice([1, 1, 2, 5])
    for _ in range(n):
        content[used[rng.randrange(len(used))]] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    for start, size in _sealed(len(content)):
        content[start : start + 8] = np.frombuffer(_checksum(content[start + 8 : start + size]).tobytes(), np.uint8)
    content.tofile(file)
    return f"{n} bytes changed, checksums right"


def _sealed(size: int) -> list[tuple[int, int]]:
    heads = [(4096 * i, 4096) for i in range(3)]
    return heads + [(start, _BLOCK) for start in range(_BLOCKS, size - _BLOCK + 1, _BLOCK)]


def _checksum(content: np.ndarray) -> np.uint64:
    words = np.ascontiguousarray(content).view(np.uint64)
    with np.errstate(over="ignore"):
        return np.uint64(5381) ^ np.bitwise_xor.reduce(words * np.uint64(0xBF58476D1CE4E5B9))


def write_ahead(file: Path, rng: random.Random) -> str:
    """A log of the engine's beside the file: another job's, bits flipped, or nonsense."""
    log = file.with_name(f"{file.name}.wal")
    how = rng.choice(["nonsense", "statement", "cut", "folder", "link"])
    if how == "nonsense":
        log.write_bytes(rng.randbytes(rng.choice([1, 50, 5000])))
    elif how == "folder":
        log.mkdir()
    elif how == "link":
        log.symlink_to(file.parents[1] / "secret.txt")
    else:
        sql = rng.choice([each for each in STATEMENTS if "{" not in each and "range(" not in each])
        told = _run(file, f"set checkpoint_threshold = '1TB'; pragma disable_checkpoint_on_shutdown; {sql}")
        how = f"{how} {told[-60:]}"
        if how.startswith("cut") and log.exists():
            flip(log, rng)
    return f"write-ahead log: {how}"


def another_kind(file: Path, rng: random.Random) -> str:
    """No database at all, under its name."""
    file.unlink()
    how = rng.choice(["pipe", "text", "sqlite", "zip", "folder", "device", "nothing"])
    if how == "pipe":
        os.mkfifo(file)
    elif how == "folder":
        file.mkdir()
    elif how == "device":
        file.symlink_to(rng.choice(["/dev/zero", "/dev/null", "/dev/random"]))
    else:
        start = {"text": b"hello\n", "sqlite": b"SQLite format 3\0", "zip": b"PK\3\4", "nothing": b""}[how]
        file.write_bytes(start + rng.randbytes(9000 if start else 0))
    return f"a {how} in its place"


# Statements

_LOGS = "drop table logs; create table logs (worker_id uinteger, time double, level varchar, logger varchar, message "
_READ = "(select content from read_text('{secret}'))"
STATEMENTS: Sequence[str] = (
    f"alter table logs rename to old; create view logs as select l.* replace ({_READ} as message) from old l",
    f"alter table config rename to old; create view config as select l.* replace ({_READ} as record) from old l",
    f"alter table schema rename to old; create view schema as select version, {_READ} as definition from old",
    "drop table null_hypos; create view null_hypos as from read_csv('{csv}')",
    f"create view extra as select {_READ} as x",
    "create macro abs(x) as 0",
    'create macro "+"(a, b) as 7',
    "create macro count(x) as 5",
    "create macro isnan(x) as false",
    "create macro duckdb_tables() as table select 'x' as table_name",
    f"create macro duckdb_functions() as table select {_READ} as function_name",
    "create sequence numbers",
    "create type mood as enum ('a', 'b')",
    "create schema other; create table other.tiles as from tiles",
    "create index place on tiles (id)",
    "create table extra (x integer)",
    'create table "x; drop table tiles" (x integer)',
    'create table "\x1b[31mred" (x integer)',
    "create trigger t after insert on logs for each statement insert into reports select * from reports limit 0",
    "alter table logs alter message set default 'x'",
    "alter table tiles alter position set default 1 + 1",
    "alter table tiles add column extra double",
    "alter table tiles drop column volume",
    "alter table tiles alter id type double",
    "alter table tiles alter id type varchar",
    "alter table results alter n_sims type hugeint",
    "alter table logs alter message type blob using encode(message)",
    'alter table tiles rename volume to "vol""ume"',
    'alter table tiles rename volume to "volume DOUBLE, more"',
    "create table t2 as from tiles; drop table tiles; alter table t2 rename to tiles",
    "drop table done; create table done (id ubigint primary key)",
    "drop table tiles",
    "drop table schema",
    f"{_LOGS}varchar check (length(message) < 9))",
    f"{_LOGS}varchar generated always as ('x' || level))",
    f"{_LOGS}varchar collate nocase)",
    f"{_LOGS}struct(a varchar))",
    "delete from schema",
    "insert into schema from schema",
    "update schema set version = 3",
    "update schema set version = 4294967295",
    "update schema set version = null",
    "update schema set definition = null",
    "update schema set definition = ''",
    "update schema set definition = repeat('[', 1000000)",
    "update schema set definition = replace(definition, '\"dim\": 1', '\"dim\": 1000000000')",
    "update schema set definition = replace(definition, '\"dim\": 1', '\"dim\": 1e300')",
    "update schema set definition = replace(definition, '\"dim\": 1', '\"dim\": 2')",
    "update schema set definition = replace(definition, '\"n_nulls\": 1', '\"n_nulls\": -1')",
    "update schema set definition = replace(definition, 'rejections', 'rejections; drop table tiles')",
    "update schema set definition = replace(definition, 'float64', 'object')",
    "update schema set definition = replace(definition, 'classic', 'interpolated')",
    "insert into logs select 1, 1.0, 'INFO', 'x', 'y' from range(20000000)",
    "insert into logs select 1, 1.0, 'INFO', 'x', repeat('y', 20000000) from range(60)",
    "insert into tiles select t.* from tiles t, range(3000000)",
    "insert into steps select s.* from steps s, range(5000000)",
    "delete from config",
    "delete from tiles",
    "delete from results",
    "delete from steps",
    "delete from coordinations",
    "delete from done",
    "update config set record = null",
    "update config set record = '{}'",
    "update config set record = repeat('[', 100000)",
    "update config set environment = '[1]'",
    "update config set environment = 'no'",
    "update config set worker_id = 2",
    "update config set time = 'nan'",
    "update reports set content = '{'",
    "update reports set content = '[]'",
    'update reports set content = \'{"status": "OWNED"}\'',
    "update reports set content = '{\"figures\": 7}'",
    "update reports set kind = null",
    "update null_hypos set definition = repeat('{\"a\":', 50000)",
    'update null_hypos set definition = \'{"type": "os:system"}\'',
    "update coordinations set kind = 'other'",
    "update coordinations set coordination_id = 4294967295",
    "update steps set step_id = 4294967295",
    "update steps set n_tiles = 18446744073709551615",
)


def statement(file: Path, rng: random.Random) -> str:
    sql = rng.choice(STATEMENTS).replace("{secret}", str(file.parents[1] / "secret.txt"))
    return _run(file, sql.replace("{csv}", str(file.parents[1] / "secret.csv")))


def cell(file: Path, rng: random.Random) -> str:
    """One value, or all of a column, is another."""
    with duckdb.connect(str(file)) as connection:
        tables = [row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()]
        name = rng.choice(tables)
        columns = connection.execute(f"select column_name, data_type from duckdb_columns() where table_name = '{name}'")
        column, kind = rng.choice(columns.fetchall())
        values = ["null", "0", "1", "7", "255"]
        values += {"DOUBLE": ["'nan'", "'inf'", "'-inf'", "1e308", "-1", "1e-320"], "FLOAT": ["'nan'", "'inf'"]}.get(
            kind, []
        )
        values += {"UBIGINT": ["18446744073709551615"], "BIGINT": ["9223372036854775807", "-1"]}.get(kind, [])
        if kind == "VARCHAR":
            values = ["null", *(f"'{text}'" for text in NASTY if "\0" not in text), f"left({column}, 9)"]
        where = rng.choice(["", " where rowid = 0"])
        value = rng.choice(values)
    return _run(file, f'update {name} set "{column}" = {value}{where}')


def record(file: Path, rng: random.Random) -> str:
    """One value in what a job has written down as JSON is another."""
    name, column = rng.choice(
        [("config", "record")] * 4
        + [("config", "environment"), ("reports", "content"), ("null_hypos", "definition"), ("schema", "definition")]
    )
    with duckdb.connect(str(file)) as connection:
        rows = connection.execute(f"select rowid, {column} from {name}").fetchall()
        number, text = rng.choice(rows)
        data = json.loads(text)
        where = change(data, rng)
        connection.execute(f"update {name} set {column} = ? where rowid = ?", [json.dumps(data), number])
    return f"{name}.{column}: {where}"


def change(data: Any, rng: random.Random) -> str:
    """Change one value somewhere in data."""
    path, here = [], data
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return "nothing"
        key = rng.choice(keys)
        path.append(str(key))
        if isinstance(here[key], (dict, list)) and here[key] and rng.random() < 0.8:
            here = here[key]
            continue
        how = rng.random()
        if how < 0.15:
            del here[key]
        elif how < 0.25 and isinstance(here, dict):
            here["more"] = here.pop(key)
        else:
            here[key] = rng.choice(NUMBERS)
        return ".".join(path)


def _run(file: Path, sql: str) -> str:
    try:
        with duckdb.connect(str(file)) as connection:
            connection.execute(sql)
    except duckdb.Error as error:
        return f"nothing: {sql[:60]} ({type(error).__name__})"
    return sql[:100]


# Exports


def seal(folder: Path) -> None:
    """Give a manifest the checksums of what is there."""
    file = folder / MANIFEST
    manifest = json.loads(file.read_text())
    manifest.pop("sha256", None)
    for name, told in manifest["files"].items():
        if isinstance(told, dict) and os.path.basename(name) == name and (folder / name).is_file():
            told["sha256"] = digest(folder / name)
    file.write_text(json.dumps({**manifest, "sha256": digest_of(manifest)}))


def _one(folder: Path, rng: random.Random) -> Path:
    return rng.choice(sorted(file for file in folder.iterdir() if file.name != MANIFEST))


def file_bytes(folder: Path, rng: random.Random) -> str:
    told = rng.choice([flip, truncate, overwrite, extend])(_one(folder, rng), rng)
    if rng.random() < 0.7:
        seal(folder)
        told += ", sealed"
    return told


def manifest_bytes(folder: Path, rng: random.Random) -> str:
    return rng.choice([flip, truncate, overwrite, extend])(folder / MANIFEST, rng)


def manifest_value(folder: Path, rng: random.Random) -> str:
    file = folder / MANIFEST
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    told = change(manifest, rng)
    file.write_text(json.dumps({**manifest, "sha256": digest_of(manifest)}))
    return f"manifest: {told}"


def manifest_files(folder: Path, rng: random.Random) -> str:
    """A manifest that names files elsewhere, or more than there are."""
    file = folder / MANIFEST
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    secret = folder.parents[1] / "secret.csv"
    name = rng.choice(
        ["../../secret.csv", str(secret), "more.parquet", "a/b.parquet", "..", "", "\x1b[2J", "con", "x" * 300]
    )
    victim = rng.choice(sorted(manifest["files"]))
    if rng.random() < 0.5:
        manifest["files"][name] = manifest["files"].pop(victim)
    else:
        manifest["files"][name] = {"rows": 1, "sha256": digest(secret)}
    file.write_text(json.dumps({**manifest, "sha256": digest_of(manifest)}))
    return f"manifest names {name[:30]!r}"


def rows_said(folder: Path, rng: random.Random) -> str:
    file = folder / MANIFEST
    manifest = json.loads(file.read_text())
    name, n = rng.choice(sorted(manifest["files"])), rng.choice([0, 1, 10**6, 10**12, 10**30, -1, 2.5, None, "4"])
    manifest["files"][name]["rows"] = n
    file.write_text(json.dumps(manifest))
    seal(folder)
    return f"{name} has {n} rows, it says"


def links(folder: Path, rng: random.Random) -> str:
    file, secret = _one(folder, rng), folder.parents[1] / "secret.csv"
    how = rng.choice(["symbolic", "symbolic to its own", "hard", "folder", "pipe", "loop", "more"])
    if how == "symbolic to its own":
        file.rename(folder.parents[1] / file.name)
        file.symlink_to(folder.parents[1] / file.name)
    elif how == "more":
        (folder / rng.choice([".hidden", "more.parquet", "\x1b[2J", "job.duckdb"])).write_text("x")
    else:
        file.unlink()
        made = {"symbolic": lambda: file.symlink_to(secret), "hard": lambda: os.link(secret, file),
                "folder": file.mkdir,
                "pipe": lambda: os.mkfifo(file), "loop": lambda: file.symlink_to(file)}  # fmt: skip
        made[how]()
    if how not in ("pipe", "loop", "folder"):
        seal(folder)
    return f"{how}: {file.name}"


def swap(folder: Path, rng: random.Random) -> str:
    one, other = _one(folder, rng), _one(folder, rng)
    left, right = one.read_bytes(), other.read_bytes()
    one.write_bytes(right)
    other.write_bytes(left)
    seal(folder)
    return f"{one.name} and {other.name} swapped"


def table(folder: Path, rng: random.Random) -> str:
    """A table with other columns or values, with everything else right."""
    files = sorted(file for file in folder.iterdir() if file.suffix == ".parquet")
    if not files:
        return _text(folder, rng)
    file = rng.choice(files)
    rows = pq.read_table(file)
    names = rows.column_names
    i = rng.randrange(len(names))
    how = rng.choice(
        ["extra", "missing", "twice", "type", "null", "nan", "nasty", "huge", "repeat", "bomb", "none", "struct"]
    )
    column = rows.column(i)
    if how == "extra":
        rows = rows.append_column("more", pa.array([1] * len(rows)))
    elif how == "missing":
        rows = rows.remove_column(i)
    elif how == "twice":
        rows = rows.append_column(names[i], column)
    elif how == "type":
        kind = rng.choice([pa.string(), pa.float64(), pa.int64(), pa.binary()])
        rows = rows.set_column(
            i,
            names[i],
            pa.array(
                [None if kind == pa.binary() else str(v) if kind == pa.string() else 1 for v in column.to_pylist()],
                kind,
            ),
        )
    elif how == "struct":
        rows = rows.set_column(i, names[i], pa.array([{"a": 1}] * len(rows), pa.struct([("a", pa.int64())])))
    elif how == "repeat":
        rows = pa.concat_tables([rows] * rng.choice([2, 3000]))
    elif how == "none":
        rows = rows.slice(0, 0)
    elif how == "bomb" and len(rows):
        texts = pa.types.is_string(column.type)
        rows = rows.take(pa.array(np.zeros(5 if texts else 20_000_000, np.int64)))
        if texts:
            rows = rows.set_column(i, names[i], pa.array(["x" * 300_000_000] * 5, pa.large_string()))
    elif len(rows):
        values = column.to_pylist()
        floats, texts = pa.types.is_floating(column.type), pa.types.is_string(column.type)
        other: Any = None
        if how == "nan" and floats:
            other = float("nan")
        elif how == "huge":
            other = 1e308 if floats else "x" * 10**6 if texts else 255
        elif how == "nasty" and texts:
            other = rng.choice(NASTY)
        values[rng.randrange(len(values))] = other
        rows = rows.set_column(i, names[i], pa.array(values, column.type))
    pq.write_table(rows, file, compression="zstd")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][file.name]["rows"] = len(rows)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    seal(folder)
    return f"{file.name}: {how} {names[i]}"


def _text(folder: Path, rng: random.Random) -> str:
    """The same for CSV: bytes of the text, which is then packed again."""
    file = rng.choice(sorted(folder.glob("*.csv.gz")))
    content = bytearray(gzip.decompress(file.read_bytes()))
    how = rng.choice(["bits", "nasty", "utf8", "column", "bomb", "null", "quote", "line"])
    at = rng.randrange(len(content))
    if how == "bits":
        content[at] ^= 1 << rng.randrange(8)
    elif how == "column":
        content = bytearray(b"\n".join(line + b",1" for line in content.split(b"\n")))
    elif how == "bomb":
        content += b"1," * 10_000_000 if rng.random() < 0.5 else (content.split(b"\n")[-2] + b"\n") * 50_000
    elif how == "line":
        content += content.split(b"\n")[-2] + b"\n"
    else:
        content[at:at] = {"nasty": rng.choice(NASTY).encode(), "utf8": b"\xff\xfe\xc3(", "null": b",,", "quote": b'"'}[
            how
        ]
    file.write_bytes(gzip.compress(bytes(content), 1))
    seal(folder)
    return f"{file.name}: {how}"


OF_FILES: Sequence[tuple[int, Change]] = (
    (2, flip), (2, truncate), (2, overwrite), (1, extend), (2, write_ahead), (1, another_kind), (6, statement),
    (6, cell), (6, record),
)  # fmt: skip
OF_FOLDERS: Sequence[tuple[int, Change]] = (
    (4, file_bytes), (1, manifest_bytes), (4, manifest_value), (2, manifest_files), (2, rows_said), (3, links),
    (1, swap), (6, table),
)  # fmt: skip
HOSTILE_BYTES: Change = resealed


def mutate(place: Path, number: int, changes: Sequence[tuple[int, Change]] | None = None) -> str:
    """Change what is at a place; return what was done."""
    rng = random.Random(number)
    found = changes or (OF_FILES if place.suffix == ".duckdb" else OF_FOLDERS)
    how = rng.choices([each for _, each in found], [weight for weight, _ in found])[0]
    return f"{how.__name__}: {how(place, rng)}"
