#!/bin/sh
# Plays a whole live move against a running application: copy, follow, cutover, mirror, rollback, abort.
#   sh samples/guestbook/play.sh
# Works in a folder of its own, which it removes at the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tidemark="node $here/../../packages/tidemark/bin/tidemark.js"
folder=$(mktemp -d "${TMPDIR:-/tmp}/guestbook-XXXXXX")
chmod 755 "$folder"
cd "$folder"

python3 "$here/guestbook.py" guestbook.db --rate 200 --seconds 600 >app.log 2>&1 &
app=$!
trap 'kill $app 2>/dev/null || true; cd /; rm -rf "$folder"' EXIT INT TERM
say() { printf '\n== %s\n' "$1"; }
said() { printf '   the application: %s\n' "$(tail -n 1 app.log)"; }
guests() { $tidemark db psql --quiet -c 'select count(*) as guests from guests' 2>/dev/null; }

say 'The application writes to SQLite.'
sleep 3; said
say 'Copy, follow, compare: the application goes on meanwhile.'
$tidemark move guestbook.db --until-ready --quiet
said
say 'Cutover: Postgres takes the writes.'
$tidemark move cutover guestbook.db --no-mirror --quiet
sleep 1; said
say 'A guest signs in Postgres.'
$tidemark db psql --quiet -c "insert into guests (name, email) values ('Ana', 'ana@example.com')"
guests
say 'Rollback: SQLite takes the writes again, and has the guest.'
$tidemark move rollback guestbook.db --quiet
sleep 2; said
python3 -c "
import sqlite3
print('   in the file:', sqlite3.connect('guestbook.db').execute(\"SELECT id, name, email FROM guests WHERE name = 'Ana'\").fetchall())"
say 'Abort: both sides are as before.'
$tidemark move abort guestbook.db --yes --quiet
python3 -c "
import sqlite3
left = sqlite3.connect('guestbook.db').execute(\"SELECT count(*) FROM sqlite_master WHERE name LIKE '\\_tidemark%' ESCAPE '\\\\'\").fetchone()[0]
print('   left in the file:', left)"
said
