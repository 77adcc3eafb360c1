"""The collector's database: one SQLite file with one writer, durable at every commit, alive through a full disk.

Owns the file, its lock, its reserve and its transactions. Never knows what a table means: that is in the files beside this
one, whose functions take the connection. Commits are on disk when `transaction` ends (WAL with ``synchronous=FULL``).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import sqlite_utils

from collector.store.schema import MIGRATIONS
from config.language import _

log = logging.getLogger(__name__)

FILE = "watchkeeper.db"
RESERVE_BYTES = 8 << 20
_FULL = (sqlite3.SQLITE_FULL,)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Hook = Callable[[str], None]


class StoreError(Exception):
    """The database cannot do what was asked; the text says why and what to do."""


class StoreBusyError(StoreError):
    """Another process works on the same data folder."""


class StoreFullError(StoreError):
    """The disk is full. Nothing of the transaction was kept."""


class StoreDamagedError(StoreError):
    """The file is not a sound database."""


def no_hook(step: str) -> None:
    """Do nothing at a step: what runs in production."""


class Store:
    """The open database of one data folder.

    Attributes:
        db: the database for sqlite-utils; inside `transaction` its writes are part of the transaction.
        connection: the same as a plain connection, in autocommit mode (``isolation_level=None``).
        folder: the data folder.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: int | None, reserve_bytes: int, hook: Hook) -> None:
        """Wrap an open connection; use `open` or `open_read_only`."""
        self.folder = folder
        self.connection = connection
        self.db = sqlite_utils.Database(connection, execute_plugins=False)
        self._lock_handle = lock
        self._mutex = threading.RLock()
        self._reserve_bytes = reserve_bytes
        self._hook = hook
        self._checking: sqlite3.Connection | None = None

    @classmethod
    def open(cls, folder: Path, *, reserve_bytes: int = RESERVE_BYTES, hook: Hook = no_hook) -> Store:
        """Open the database for writing, make it if there is none, and bring its tables to this version.

        `hook` is called with the name of each step of a commit; a test raises there.

        Raises:
            StoreBusyError: another process has this folder.
            StoreFullError: no room for the tables.
            StoreDamagedError: the file is not a database, or of a later version than this program.
            StoreError: the folder cannot be used.
        """
        lock = _take_folder(folder)
        try:
            connection = _connect(folder / FILE)
        except BaseException:
            os.close(lock)
            raise
        store = cls(folder, connection, lock, reserve_bytes, hook)
        try:
            _migrate(store)
        except BaseException:
            store.close()
            raise
        store.keep_reserve()
        return store

    @classmethod
    def open_read_only(cls, folder: Path) -> Store:
        """Open the database for reading beside the process that writes it. Takes no lock, changes nothing.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        path = folder / FILE
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as error:
            text = _("No database can be read at {path}: {error}. Has the collector been started with this data folder?")
            raise StoreError(text.format(path=path, error=error)) from None
        return cls(folder, connection, None, 0, no_hook)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is kept together, on disk when the block has ended, or not at all.

        Raises:
            StoreFullError: the disk is full; see `make_room`.
            StoreDamagedError: the file is damaged.
            StoreError: another error of the database.
        """
        with self._mutex, _translated(self.folder):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self._hook("commit")
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            self._hook("committed")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads that see one state, alone on this connection.

        Raises:
            StoreError: as for `transaction`.
        """
        with self._mutex, _translated(self.folder):
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    # room on the disk

    @property
    def reserve(self) -> Path:
        """The file that keeps room for deleting when the disk is full."""
        return self.folder / "reserve"

    def keep_reserve(self) -> bool:
        """Make the reserve file at its full size; returns False where there is no room for it."""
        handle = -1
        try:
            handle = os.open(self.reserve, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
            if os.fstat(handle).st_size != self._reserve_bytes:
                os.posix_fallocate(handle, 0, self._reserve_bytes)
            return True
        except OSError as error:
            log.error("no room for the reserve file %s: %s", self.reserve, error.strerror)
            with contextlib.suppress(OSError):
                self.reserve.unlink()
            return False
        finally:
            if handle >= 0:
                os.close(handle)

    def release_reserve(self) -> None:
        """Give the reserve's room to the database, so that something can be deleted in small steps. `shrink` takes it back.

        The room goes to the write-ahead log first: it can only start again from its beginning after a checkpoint.
        """
        with contextlib.suppress(OSError):
            self.reserve.unlink()
        with self._mutex, contextlib.suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def shrink(self) -> bool:
        """Give what was deleted back to the disk and make the reserve again; returns False where there is no room for it.

        Raises:
            StoreError: as for `transaction`.
        """
        with self._mutex, _translated(self.folder):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.connection.execute("PRAGMA incremental_vacuum").fetchall()
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return self.keep_reserve()

    def used_bytes(self) -> int:
        """Return the bytes of the database that hold something (free pages left out)."""
        with self._mutex:
            pages, free, size = (
                int(self.connection.execute(pragma).fetchone()[0])
                for pragma in ("PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size")
            )
        return (pages - free) * size

    # soundness

    def check_integrity(self) -> list[str]:
        """Read the whole file and return what is wrong with it, nothing if it is sound. For a thread; `close` cuts it short."""
        checker = sqlite3.connect(
            f"file:{quote(str((self.folder / FILE).resolve()))}?mode=ro", uri=True, check_same_thread=False
        )
        self._checking = checker
        try:
            found = [str(row[0]) for row in checker.execute("PRAGMA integrity_check(20)")]
        except sqlite3.OperationalError as error:
            return [] if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT else [str(error)]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        finally:
            self._checking = None
            checker.close()
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the file and let the folder go. What is not committed is gone."""
        checking = self._checking
        if checking is not None:
            checking.interrupt()
        with self._mutex:
            self.connection.close()
            if self._lock_handle is not None:
                os.close(self._lock_handle)
                self._lock_handle = None


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, folder) from error


def _error(error: sqlite3.Error, folder: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL or (code == sqlite3.SQLITE_IOERR and _is_full(folder)):
        return StoreFullError(_("The disk of {folder} is full. Make room, or lower collector.retention.").format(folder=folder))
    if code in _DAMAGED:
        text = _("The database in {folder} is damaged ({error}). Restore a backup, or move the file away to start anew.")
        return StoreDamagedError(text.format(folder=folder, error=error))
    return StoreError(_("The database in {folder} failed: {error}").format(folder=folder, error=error))


def _is_full(folder: Path) -> bool:
    """Say if a disk has no room for one page: SQLite calls it an I/O error where it cannot make its shared memory."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 4096


def _take_folder(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        handle = os.open(folder / "watchkeeper.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    except OSError as error:
        text = _("The data folder {folder} cannot be used: {error}. Give the collector a folder it may write to.")
        raise StoreError(text.format(folder=folder, error=_(str(error.strerror)))) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        text = _("Another collector works on the data folder {folder}. Stop it first, or give this one a folder of its own.")
        raise StoreBusyError(text.format(folder=folder)) from None
    return handle


def _connect(path: Path) -> sqlite3.Connection:
    """Open for writing. The order matters: vacuum mode before the first table, WAL before the first transaction."""
    with _translated(path.parent):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 500")  # pages, 2 MB: the log stays well below the reserve
            connection.execute("PRAGMA journal_size_limit = 4194304")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = OFF")  # a delete must not have to write what it deletes
        except BaseException:
            connection.close()
            raise
    if mode != "wal":
        connection.close()
        raise StoreError(_("The file system of {path} does not support SQLite's WAL mode.").format(path=path))
    return connection


def _migrate(store: Store) -> None:
    version = int(store.connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        text = _("The database in {folder} was written by a later version of Watchkeeper. Install that version.")
        raise StoreDamagedError(text.format(folder=store.folder))
    for number in range(version, len(MIGRATIONS)):
        with store.transaction() as connection:
            for statement in statements(MIGRATIONS[number]):
                connection.execute(statement)


def statements(script: str) -> Iterator[str]:
    """Yield the SQL statements of a script (``executescript`` would commit the transaction it stands in)."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if part.strip():
        yield part
