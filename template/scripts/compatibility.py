"""Find what a migration breaks for the running release: compare the tables before and after."""

import re
from typing import NamedTuple

COLUMNS = """
    SELECT relname, attname, attrelid || '.' || attnum, format_type(atttypid, atttypmod),
           attnotnull, atthasdef OR attidentity <> ''
    FROM pg_attribute JOIN pg_stat_user_tables ON relid = attrelid
    WHERE attnum > 0 AND NOT attisdropped
    ORDER BY relname, attnum
"""
# Constraints and indexes. Unique indexes reject rows; the others only speed up reading.
# A foreign key that is valid has compared all rows with those of its target.
RULES = """
    SELECT number, relname, name, rejects, target, ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = relid AND attnum = ANY(places)
    )
    FROM pg_stat_user_tables JOIN (
        SELECT indexrelid, indrelid, indexrelid::regclass::text, indisunique, NULL,
               indkey::int2[]
        FROM pg_index
        UNION ALL
        SELECT oid, conrelid, conname, true,
               CASE WHEN contype = 'f' AND convalidated THEN confrelid::regclass::text END,
               conkey
        FROM pg_constraint WHERE contype IN ('c', 'f', 'x')
    ) AS rules (number, owner, name, rejects, target, places) ON owner = relid
    ORDER BY relname, name
"""
UNLIMITED = ("character varying", "text")
SIZED = re.compile(r"(character varying|numeric)\((\d+)(.*)\)")

# What breaks, and how to avoid it.
GONE = "{} is gone, but the running release uses it: stop using it first, and drop it in a later release."
REQUIRED = "{} needs a value, but the running release writes none: set a db_default, or allow null."
NOT_NULL = "{} rejects null, but the running release may write it: first release code that never does."
TYPE = "{} changes from {} to {}, but the running release expects the old type: add a new column instead."
RULE = "{} rejects rows of {} that the running release may write: first release code that writes none."
FOREIGN_KEY = "Writes to {1} and {2} wait while the rows of {0} are checked: add it NOT VALID, and use VALIDATE CONSTRAINT in the next migration."
INDEX = "Writes to {1} wait while {0} is built: use AddIndexConcurrently, with atomic = False."


class Column(NamedTuple):
    place: str  # The same under a new name of the column or its table
    type: str
    not_null: bool
    has_default: bool

    @property
    def is_required(self):
        return self.not_null and not self.has_default


class Rule(NamedTuple):
    table: str
    name: str
    rejects: bool
    target: str | None
    columns: list


def read_schema(connection):
    """Return the columns by table and name, and the rules by number."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        columns = {(table, name): Column(*column) for table, name, *column in cursor}
        cursor.execute(RULES)
        return columns, {number: Rule(*rule) for number, *rule in cursor}


def follow(used, before, after, is_new):
    """Return the columns that the running release uses, after one more migration.

    What a new migration adds is not among them, but a new name of one of them is.
    """
    (old, _), (columns, _) = before, after
    if not is_new:
        return used - (old.keys() - columns) | (columns.keys() - old)
    places = {old[key].place for key in used & old.keys()}
    return used | {key for key, column in columns.items() if column.place in places}


def breaks(before, after, used, atomic):
    """Yield a sentence for each change that breaks the running release.

    It uses the columns in `used`, pairs of table and name, and their tables.
    """
    (old_columns, old_rules), (columns, rules) = before, after
    old_tables = {table for table, _ in old_columns} & {table for table, _ in used}
    tables = {table for table, _ in columns}
    for table in sorted(old_tables - tables):
        yield GONE.format(table)
    for table, name in old_columns:
        if table in tables and (table, name) in used - columns.keys():
            yield GONE.format(f"{table}.{name}")
    for (table, name), column in columns.items():
        if table in old_tables:
            old = old_columns.get((table, name))
            is_used = (table, name) in used
            yield from changes(f"{table}.{name}", old, column, is_used)
    names = {rule.name for rule in old_rules.values()}
    for number, rule in rules.items():
        # A new column is empty, so no rule rejects its rows and none takes long.
        is_of_old = all((rule.table, name) in old_columns for name in rule.columns)
        # A renamed rule keeps its number.
        if number in old_rules or not is_of_old or rule.table not in old_tables:
            continue
        # Django replaces a foreign key by one of that name when its column changes.
        if rule.target:
            yield FOREIGN_KEY.format(rule.name, rule.table, rule.target)
        # So does PostgreSQL with an index whose column gets a new type.
        if rule.name in names:
            continue
        if rule.rejects:
            yield RULE.format(rule.name, rule.table)
        elif atomic:
            yield INDEX.format(rule.name, rule.table)


def changes(name, old, new, is_used):
    """Yield a sentence for each change of a column that breaks the running release."""
    if old and is_used and new.not_null and not old.not_null:
        yield NOT_NULL.format(name)
    elif new.is_required and not (old and old.is_required):
        yield REQUIRED.format(name)
    if old and is_used and not accepts(new.type, old.type):
        yield TYPE.format(name, old.type, new.type)


def accepts(new, old):
    """Return whether the type is the old one, or a longer one that rewrites no row."""
    if re.fullmatch(r"character varying(\(\d+\))?", old) and new in UNLIMITED:
        return True
    longer, shorter = SIZED.fullmatch(new), SIZED.fullmatch(old)
    if longer and shorter and longer.group(1, 3) == shorter.group(1, 3):
        return int(longer[2]) >= int(shorter[2])
    return new == old
