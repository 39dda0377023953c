"""Runs given steps through Python's sqlite3 on a captured file and on its twin, and prints what differs or was not logged."""

import json
import sqlite3
import sys

case = json.load(sys.stdin)


def open_file(path):
    db = sqlite3.connect(path, isolation_level=None, uri=True)
    db.text_factory = bytes
    for pragma in [*case["pragmas"], f"PRAGMA journal_mode = {case['journal']}", "PRAGMA synchronous = OFF"]:
        db.execute(pragma).fetchall()
    return db


def run(db, sql):
    try:
        db.execute(sql).fetchall()
        return f"ok {db.execute('SELECT changes()').fetchone()[0]}"
    except sqlite3.Error as error:
        return str(error)


def is_known(outcome, other, sql):
    return (
        outcome.startswith("cannot store ")
        or outcome == "datatype mismatch"
        or (outcome.startswith("UNIQUE constraint failed") and sql.startswith("UPDATE OR REPLACE"))
        or outcome.startswith("foreign key mismatch")
        or other == "database disk image is malformed"
        or (sql.startswith("UPDATE") and (case["hasClauses"] or sql.startswith(("UPDATE OR IGNORE", "UPDATE OR FAIL", "UPDATE OR REPLACE"))))
    )


def dump(db, table):
    rows = {}
    for key, row in db.execute(table["dump"]):
        rows.setdefault(key, []).append(row)
    return {key: sorted(found) for key, found in rows.items()}


def count(rows):
    return sum(len(found) for found in rows.values())


def changed(before, after):
    return [key for key in {*before, *after} if before.get(key) != after.get(key)]


def main():
    captured, twin = open_file(case["captured"]), open_file(case["twin"])
    tables = case["tables"]
    statements = 0
    before = [dump(captured, table) for table in tables]
    for step in case["steps"]:
        large = [f'DELETE FROM "{table["name"]}"' for table, rows in zip(tables, before) if count(rows) > case["maxRows"]]
        head = captured.execute("SELECT coalesce(max(seq), 0) FROM _tidemark_log").fetchone()[0]
        doubtful = False
        failures = []
        for sql in [*(large or step), "ROLLBACK"]:
            if sql == "ROLLBACK" and not captured.in_transaction and not twin.in_transaction:
                continue
            outcomes = [run(db, sql) for db in (captured, twin)]
            statements += 1
            is_dml = sql.startswith(("INSERT", "UPDATE", "DELETE", "REPLACE"))
            same = outcomes[0] == outcomes[1] or (not is_dml and all(text.startswith("ok") for text in outcomes))
            if is_known(outcomes[0], outcomes[1], sql):
                doubtful = True
            elif not same and not doubtful:
                failures.append(f"{sql}: {outcomes[0]} with capture, {outcomes[1]} without")
        now = [dump(captured, table) for table in tables]
        for table, old, new in zip(tables, before, now):
            logged = {key for (key,) in captured.execute(table["logged"], (head,))}
            missing = [key for key in changed(old, new) if key not in logged]
            if missing:
                failures.append(f"{table['name']}: {missing} not logged after {step}")
        differs = any(changed(new, dump(twin, table)) for table, new in zip(tables, now))
        if differs and not doubtful:
            failures.append(f"tables are not what they are without capture, after {step}")
        if failures:
            return {"statements": statements, "failures": failures}
        if differs or any(count(rows) > 10 * case["maxRows"] for rows in now):
            break
        before = now
    return {"statements": statements, "failures": []}


print(json.dumps(main()))
