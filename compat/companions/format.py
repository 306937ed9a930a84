"""The format of the file of companions, for its reader and its writer."""

from os.path import abspath, dirname, join

SHIPPED = join(dirname(dirname(abspath(__file__))), "data", "companions.sqlite")  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the file in this package, which "compat index companions" writes."""

SCHEMA_VERSION = 3
TOGETHER = 64
"""The number of lines in a row of `need_sets` and of `requirement_lists`: they are alike, and up to ten times
as large if compressed alone."""

SHARED = "<HI"
"""The `struct` format of one shared module: its number, and the beginning of the digest of its file."""

TABLES = """
CREATE TABLE versions (package TEXT PRIMARY KEY, versions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE demands (
    package TEXT NOT NULL, target INTEGER NOT NULL, module INTEGER NOT NULL, form INTEGER NOT NULL,
    guard INTEGER, line INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE INDEX demands_by_target ON demands (package, target);
CREATE TABLE distributions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, read INTEGER NOT NULL);
CREATE TABLE imports (
    top TEXT NOT NULL, distribution INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (top, distribution, first)) WITHOUT ROWID;
CREATE TABLE added_folders (
    distribution INTEGER NOT NULL, folder TEXT NOT NULL, PRIMARY KEY (distribution, folder)) WITHOUT ROWID;
CREATE TABLE releases (
    distribution INTEGER NOT NULL, release_index INTEGER NOT NULL, version TEXT NOT NULL, uploaded TEXT,
    yanked INTEGER NOT NULL, requires_python TEXT, requires_dist INTEGER NOT NULL,
    PRIMARY KEY (distribution, release_index)) WITHOUT ROWID;
CREATE TABLE requirement_lists (part INTEGER PRIMARY KEY, lists NOT NULL);
CREATE TABLE states (
    distribution INTEGER NOT NULL, target INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    state INTEGER NOT NULL, needs INTEGER, PRIMARY KEY (distribution, target, first)) WITHOUT ROWID;
CREATE TABLE need_sets (part INTEGER PRIMARY KEY, needs NOT NULL);
CREATE TABLE broken_pairs (
    sglang TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, module INTEGER NOT NULL,
    target INTEGER NOT NULL, modules INTEGER, PRIMARY KEY (sglang, first)) WITHOUT ROWID;
CREATE TABLE checks (
    distribution INTEGER NOT NULL, first INTEGER NOT NULL, module TEXT NOT NULL, requirement TEXT NOT NULL,
    last INTEGER NOT NULL, PRIMARY KEY (distribution, first, module, requirement)) WITHOUT ROWID;
CREATE TABLE shared_modules (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE shared_releases (
    distribution TEXT NOT NULL, version TEXT NOT NULL, modules BLOB NOT NULL, whole INTEGER NOT NULL,
    PRIMARY KEY (distribution, version)) WITHOUT ROWID;
"""
"""`demands` is what sglang and vllm take, `states` what releases of other distributions have of it, both as
ranges of releases, whose indexes count in the ordered list of a package's releases. Of a distribution that is
not `read`, nothing is demanded, and only the newest release is known. `needs` is
the number of a set, whose line is in the row `needs // TOGETHER` of `need_sets`; `requires_dist` is that of a
list in `requirement_lists`. `added_folders` are those below site-packages that other distributions put on
the import path, for the modules of one that they require. `broken_pairs` has ranges of vllm releases, and how
many modules of sglang fail beside them, or NULL where no server starts.
`shared_releases` has the modules that other distributions bring in other forms: numbers of `shared_modules`,
each with the first 32 bits of the file's digest, as `SHARED` packs them; `whole` says that a release of
another distribution brings all.
Columns without a type hold what `compat.index.format.packed` makes."""

FORMS = ("import", "attribute", "deferred")
STATES = ("present", "uncertain", "absent")
