#!/usr/bin/env python3
"""Hammers a SQLite file with every kind of write there is, and tells on stdout which transactions were accepted.

    python3 sqlite-writer.py FILE --writer s1 --seed 7

Each transaction adds a row (writer, n) to `ledger`; n is printed once its COMMIT has returned. A refusal is waited out. SIGTERM ends it after the
transaction under way; the last line tells the n whose fate is unknown, if any.
"""
import argparse
import random
import signal
import sqlite3
import sys
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE UNIQUE, balance INTEGER NOT NULL, note TEXT);
CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  sku TEXT UNIQUE, qty INTEGER, price REAL);
CREATE INDEX IF NOT EXISTS items_account ON items (account_id);
CREATE TABLE IF NOT EXISTS tags (item INTEGER NOT NULL, tag TEXT NOT NULL, weight REAL, PRIMARY KEY (item, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS codes (code TEXT PRIMARY KEY NOT NULL, body BLOB, hits INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS codes_hits ON codes (hits) WHERE hits > 0;
CREATE TABLE IF NOT EXISTS notes (text TEXT, n INTEGER);
CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, writer TEXT NOT NULL, n INTEGER NOT NULL);
"""

REBUILD = """
CREATE TABLE codes_new (code TEXT PRIMARY KEY NOT NULL, body BLOB, hits INTEGER NOT NULL DEFAULT 0);
INSERT INTO codes_new SELECT code, body, hits FROM codes;
DROP TABLE codes;
ALTER TABLE codes_new RENAME TO codes;
CREATE UNIQUE INDEX codes_hits ON codes (hits) WHERE hits > 0;
"""


class Writer:
    def __init__(self, db, dice):
        self.db, self.dice = db, dice

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def any_id(self, table, key="id"):
        row = self.one(f"SELECT {key} FROM {table} ORDER BY random() LIMIT 1")
        return row and row[0]

    def email(self):
        name = f"user{self.dice.randint(1, 400)}@Example.com"
        return name.upper() if self.dice.random() < 0.2 else name

    def sku(self):
        return None if self.dice.random() < 0.1 else f"sku-{self.dice.randint(1, 600)}"

    def accounts(self):
        dice, run = self.dice, self.db.execute
        email, balance = self.email(), dice.randint(-1000, 2**40)
        what = dice.randrange(8)
        if what == 0:
            run("INSERT OR IGNORE INTO accounts (email, balance) VALUES (?, ?)", (email, balance))
        elif what == 1:
            run("INSERT OR REPLACE INTO accounts (email, balance, note) VALUES (?, ?, 'replaced')", (email, balance))
        elif what == 2:
            run("INSERT INTO accounts (email, balance) VALUES (?, ?) ON CONFLICT (email) DO UPDATE SET balance = balance + 1, note = 'again'",
                (email, balance))
        elif what == 3:
            run("UPDATE OR REPLACE accounts SET email = ? WHERE id = ?", (email, self.any_id("accounts")))
        elif what == 4:
            run("UPDATE OR IGNORE accounts SET id = ? WHERE id = ?", (dice.randint(1, 2000), self.any_id("accounts")))
        elif what == 5:
            run("DELETE FROM accounts WHERE id = ?", (self.any_id("accounts"),))
        elif what == 6:
            two = self.db.execute("SELECT id, email FROM accounts ORDER BY random() LIMIT 2").fetchall()
            if len(two) == 2:
                run("UPDATE accounts SET email = 'swap' WHERE id = ?", (two[0][0],))
                run("UPDATE accounts SET email = ? WHERE id = ?", (two[0][1], two[1][0]))
                run("UPDATE accounts SET email = ? WHERE id = ?", (two[1][1], two[0][0]))
        else:
            run("UPDATE accounts SET balance = balance + 1, note = ? WHERE id % 7 = ?", (f"é{dice.random()}", dice.randrange(7)))

    def items(self):
        dice, run = self.dice, self.db.execute
        account = self.any_id("accounts")
        if account is None:
            return
        what = dice.randrange(5)
        if what <= 1:
            run("INSERT OR REPLACE INTO items (account_id, sku, qty, price) VALUES (?, ?, ?, ?)",
                (account, self.sku(), dice.randint(0, 99), dice.random() * 1e6))
        elif what == 2:
            run("UPDATE items SET qty = NULL, price = price / 3 WHERE account_id = ?", (account,))
        elif what == 3:
            run("UPDATE OR IGNORE items SET sku = ? WHERE id = ?", (self.sku(), self.any_id("items")))
        else:
            run("DELETE FROM items WHERE id = ?", (self.any_id("items"),))

    def tags(self):
        dice, run = self.dice, self.db.execute
        item, tag = dice.randint(1, 60), f"tag{dice.randint(1, 9)}"
        what = dice.randrange(3)
        if what == 0:
            run("REPLACE INTO tags VALUES (?, ?, ?)", (item, tag, dice.choice([None, 0.1 + 0.2, 1e300, -5.0])))
        elif what == 1:
            run("UPDATE OR REPLACE tags SET item = ? WHERE item = ? AND tag = ?", (dice.randint(1, 60), item, tag))
        else:
            run("DELETE FROM tags WHERE item = ? AND tag <> ?", (item, tag))

    def codes(self):
        dice, run = self.dice, self.db.execute
        code = f"c{dice.randint(1, 200)}"
        what = dice.randrange(4)
        if what == 0:
            run("INSERT OR REPLACE INTO codes (code, body, hits) VALUES (?, ?, ?)", (code, dice.randbytes(dice.randint(0, 300)), dice.randint(0, 50)))
        elif what == 1:
            run("UPDATE OR IGNORE codes SET code = ? WHERE code = ?", (f"c{dice.randint(1, 200)}", code))
        elif what == 2:
            run("UPDATE OR REPLACE codes SET hits = ? WHERE code = ?", (dice.randint(0, 50), code))
        else:
            run("DELETE FROM codes WHERE code = ?", (code,))

    def notes(self):
        dice, run = self.dice, self.db.execute
        what = dice.randrange(3)
        if what == 0 or self.one("SELECT count(*) FROM notes")[0] < 20:
            run("INSERT INTO notes VALUES (?, ?)", (f"note {dice.randint(1, 5)}", dice.randint(1, 3)))
        elif what == 1:
            run("UPDATE notes SET n = n + 1 WHERE rowid = ?", (self.any_id("notes", "rowid"),))
        else:
            run("DELETE FROM notes WHERE rowid = ?", (self.any_id("notes", "rowid"),))

    def change(self):
        for _ in range(self.dice.randint(1, 4)):
            savepoint = self.dice.random() < 0.1
            if savepoint:
                self.db.execute("SAVEPOINT maybe")
            self.dice.choice([self.accounts, self.items, self.tags, self.codes, self.notes])()
            if savepoint:
                self.db.execute(self.dice.choice(["ROLLBACK TO maybe", "RELEASE maybe"]))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("file")
    options.add_argument("--writer", default="s1")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rate", type=float, default=150)
    options.add_argument("--first", type=int, default=1)
    options.add_argument("--rebuilds", action="store_true", help="also rebuild a table now and then")
    asked = options.parse_args()
    dice = random.Random(asked.seed)
    db = sqlite3.connect(asked.file, timeout=5, isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    db.executescript(SCHEMA)
    writer = Writer(db, dice)
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.__setitem__(0, False))
    n, refused = asked.first, 0
    while going[0]:
        try:
            if asked.rebuilds and dice.random() < 0.001:
                db.executescript("BEGIN IMMEDIATE;" + REBUILD + "COMMIT;")
            db.execute("BEGIN IMMEDIATE")
            writer.change()
            db.execute("INSERT INTO ledger (writer, n) VALUES (?, ?)", (asked.writer, n))
            db.execute("COMMIT")
            print(n, flush=True)
            n += 1
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            # A clash of the dice's own making is the application's business; a fence is waited out.
            if "UNIQUE" not in str(error) and "FOREIGN" not in str(error):
                refused += 1
                if refused % 50 == 1:
                    print(f"refused: {error}", file=sys.stderr, flush=True)
                time.sleep(0.02)
        time.sleep(dice.random() * 2 / asked.rate)
    db.close()


if __name__ == "__main__":
    main()
