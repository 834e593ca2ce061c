"""The migrations, one module each, and what they may do while older code still serves.

A rolling release migrates first: the processes of the release before go on for minutes, and a rollback starts them
again on the new form.  So every migration says in `usable_from` the oldest migration whose code can use the database
after it, and the database keeps that in `schema_compatibility` (`app/records/compatibility.py`).

**Additive** (`usable_from` is an older migration, as a rule the one of the release before).  Old code goes on reading
and writing, web, worker, restart and rollback alike.  It may

- add a table, or an index on a table it adds;
- add a column that may be null or has a constant default: old code names the columns it writes, and PostgreSQL does
  not write the table anew for such a column;
- add an index on a large table, but only with `postgresql_concurrently=True` inside
  `with op.get_context().autocommit_block():`, for an ordinary `CREATE INDEX` stops all writing to the table while it
  is built.  Such a migration does nothing else, and may find an invalid index of an attempt before: drop it first
  (`if_exists=True`);
- fill a new column of a small table.  A large one is filled by the code in pieces, not by the migration.

It may not rename or drop anything but an index, change a type, add `NOT NULL`, a check or a foreign key to a column
old code writes, nor change what a value means.  That takes two releases: the first adds the new and writes both, the
second, whose migration names the first as `usable_from`, takes the old away.

**Breaking** (`usable_from` is the migration itself).  It waits until every transaction of others has ended, runs alone,
and from then on code without it answers 503, says why at `/readyz`, and writes nothing.  It costs the time until the
new release serves.

Every statement waits at most a second for a lock, for whatever comes after it has to wait behind it; the migration is
then rolled back and tried again.  On PostgreSQL each migration is a transaction of its own, on SQLite all of them are
one; SQLite migrates itself at the start of the server.
"""
