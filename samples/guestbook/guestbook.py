#!/usr/bin/env python3
"""A small legacy application on SQLite: guests come, write, correct themselves and go. It knows nothing of Tidemark.

    python3 guestbook.py guestbook.db --rate 200 --seconds 600

Each line tells how many writes were accepted and how many were refused, as an application would notice it.
"""
import argparse
import random
import sqlite3
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS guests (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  email TEXT COLLATE NOCASE UNIQUE,
  visits INTEGER NOT NULL DEFAULT 0,
  last_seen DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY,
  guest_id INTEGER NOT NULL REFERENCES guests (id) ON DELETE CASCADE,
  text TEXT NOT NULL,
  stars REAL,
  written_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS entries_guest ON entries (guest_id);
"""
WORDS = "lovely garden, we come again soon with the children because tea was good and the view over the harbour".split()


def write(db, dice):
    """One transaction, as a visitor causes it."""
    what = dice.random()
    if what < 0.3:
        name = "".join(dice.choice("aeioumnrst") for _ in range(7)).title()
        db.execute("INSERT INTO guests (name, email) VALUES (?, ?) ON CONFLICT (email) DO UPDATE SET visits = visits + 1",
                   (name, f"{name}@example.com"))
    guest = db.execute("SELECT id FROM guests ORDER BY random() LIMIT 1").fetchone()
    if guest is None:
        return
    if what < 0.8:
        text = " ".join(dice.choices(WORDS, k=dice.randint(3, 15)))
        db.execute("INSERT INTO entries (guest_id, text, stars) VALUES (?, ?, ?)", (guest[0], text, dice.randint(1, 10) / 2))
        db.execute("UPDATE guests SET visits = visits + 1, last_seen = CURRENT_TIMESTAMP WHERE id = ?", guest)
    elif what < 0.95:
        db.execute("UPDATE entries SET text = upper(text), stars = NULL WHERE guest_id = ?", guest)
    else:
        db.execute("DELETE FROM guests WHERE id = ?", guest)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file")
    options.add_argument("--rate", type=float, default=200, help="transactions a second")
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    dice = random.Random(asked.seed)
    db = sqlite3.connect(asked.file, timeout=10, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA foreign_keys = ON")
    db.executescript(SCHEMA)
    accepted = refused = 0
    why = ""
    begun = told = time.monotonic()
    while time.monotonic() - begun < asked.seconds:
        try:
            db.execute("BEGIN IMMEDIATE")
            write(db, dice)
            db.execute("COMMIT")
            accepted += 1
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            refused += 1
            why = str(error)
            time.sleep(0.05)
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            print(f"{accepted} accepted, {refused} refused" + (f" ({why})" if why else ""), flush=True)
            why = ""
        time.sleep(1 / asked.rate)
    db.close()
    print(f"{accepted} accepted, {refused} refused, done", flush=True)


if __name__ == "__main__":
    main()
