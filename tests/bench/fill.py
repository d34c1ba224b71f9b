"""
Fills a store that the daemon made with millions of callbacks, as it would hold them: one callback
that it took itself is copied, with numbers, ids and times of its own, by SQL into the real tables;
the indexes are dropped before and made again after, which takes a minute instead of an hour.
"""

import os
import sqlite3
import time

DAY_USEC = 86400 * 1000000


def _columns(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _copy(db, table, n, **values):
    """n copies of the newest row; `values` are SQL, in which i goes from 1 to n."""
    columns = _columns(db, table)
    assert values.keys() <= set(columns), (table, values)
    picked = ", ".join(values.get(c, f"t.{c}") for c in columns)
    db.execute(
        f"WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {n}) "
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} "
        f"FROM k, (SELECT * FROM {table} ORDER BY number DESC LIMIT 1) AS t"
    )


def fill(path, n, age_days=0, runs=False):
    """
    The daemon is stopped and its store holds one job of one callback, and one run where `runs`, which
    are all copied. The n jobs are `age_days` old, those with a run wait for it. Returns seconds.
    """
    begin = time.monotonic()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=-1000000")
    db.execute("PRAGMA temp_store=FILE")
    tables = ["job", "callback"] + (["run"] if runs else [])
    marks = ",".join("?" * len(tables))
    indexes = list(
        db.execute(f"SELECT name, sql FROM sqlite_schema WHERE type='index' AND sql NOT NULL AND tbl_name IN ({marks})", tables)
    )
    db.execute("BEGIN IMMEDIATE")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    [job] = db.execute("SELECT max(number) FROM job").fetchone()
    [callback] = db.execute("SELECT max(number) FROM callback").fetchone()
    when = f"CAST(unixepoch('now') AS INTEGER) * 1000000 - {int(age_days * DAY_USEC)} + i"
    _copy(db, "callback", n, number=f"{callback} + i", job=f"{job} + i", received=when)
    _copy(
        db, "job", n, number=f"{job} + i", id="lower(hex(randomblob(6))) || '-stored'", received=when, updated=when,
        callback=f"{callback} + i", latest=f"{callback} + i",
    )  # fmt: skip
    if runs:
        [run] = db.execute("SELECT max(number) FROM run").fetchone()
        _copy(db, "run", n, number=f"{run} + i", job=f"{job} + i", callback=f"{callback} + i", due=when)
    if age_days:  # in the order of their numbers they age
        for table, column in (("job", "updated"), ("job", "received"), ("callback", "received")):
            db.execute(f"UPDATE {table} SET {column} = {column} - {int(age_days * DAY_USEC)} WHERE number <= {job}")
    for _, sql in indexes:
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with open(path, "rb") as database:  # else the daemon's first sync of it would be for all of this
        os.fsync(database.fileno())
    return time.monotonic() - begin
