"""Input files that lie elsewhere (s3://, gs://, https:// and whatever fsspec knows), copied once to each machine.

A copy lies in the cache folder under a name made of the URL and of what the server says of the file's size, date and
checksum: a file that was changed gets another copy, and all machines of a sweep read the same one.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from genotune.errors import DataError

_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s'\"]+@")
_SECRET: Final = re.compile(r"([?&][^=&\s]*(?:sig|token|key|secret|pass|cred|auth)[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE)
_PACKAGES: Final = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
_CHANGES: Final = (
    *("ETag", "etag", "Content-MD5", "md5Hash", "generation", "VersionId"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "mtime"),
)
_PAUSES_S: Final = (1.0, 5.0)
_log = logging.getLogger(__name__)


class RemotePart(NamedTuple):
    """A remote file as it was when it was asked for.

    Attributes:
        url: with its login, if it has one: not to be shown.
        n_bytes: None where the server doesn't tell.
        version: what changes when the file does; empty where the server doesn't tell.
    """

    url: str
    n_bytes: int | None
    version: str

    @property
    def name(self) -> str:
        """Of the copy."""
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "file"


class RemoteFile(NamedTuple):
    """A remote file, and those beside it that it can be read with.

    Attributes:
        parts: the file, and its companions.
    """

    parts: tuple[RemotePart, ...]

    @property
    def key(self) -> str:
        """The name of the folder with the copies."""
        return hashlib.sha256(repr(tuple(map(tuple, self.parts))).encode()).hexdigest()[:24]


def is_url(label: str) -> bool:
    """Whether a spec's path is an address."""
    return _URL.match(label) is not None


def masked(text: str) -> str:
    """A text that may be shown: the addresses in it lose their logins, passwords and signatures."""
    return _SECRET.sub(r"\1***", _LOGIN.sub("***@", text))


def look_up(url: str, *, endings: Sequence[str] = ()) -> RemoteFile:
    """What a server says of a file; nothing is copied.

    Args:
        url: of the file.
        endings: of files that may lie beside it, e.g. '.fai'.

    Raises:
        DataError: it isn't there, mayn't be read, can't be reached, or takes a package that isn't installed.
    """
    parts = [_look_up(url)]
    for ending in endings:
        # A store that doesn't let its content be listed says "forbidden" of what isn't there.
        with contextlib.suppress(_AbsentError):
            parts.append(_look_up(_with_ending(url, ending)))
    if not parts[0].version:
        _log.warning(
            "%s: the server tells neither date nor checksum: a change that keeps the size goes unnoticed. "
            "After one, delete the copies in %s.",
            masked(url),
            cache_folder(),
        )
    return RemoteFile(tuple(parts))


def copy_here(remote: RemoteFile, label: str) -> Path:
    """The copy of a remote file on this machine, which is made if there is none; one process makes it, others wait.

    Args:
        remote: the file.
        label: what to call it in a fault.

    Raises:
        DataError: it can't be copied, or was changed since it was looked up.
    """
    folder = cache_folder() / remote.key
    if not _is_whole(folder, remote):
        try:
            with _alone(folder):
                if not _is_whole(folder, remote):
                    # The file itself comes last: where it lies, its companions do.
                    for part in reversed(remote.parts):
                        _copy(part, folder / part.name, label)
        except OSError as error:
            raise DataError(f"{label}: {_local_fault(error, folder)}") from None
    return folder / remote.parts[0].name


def cache_folder() -> Path:
    """Where copies lie: $GENOTUNE_CACHE, or ~/.cache/genotune/inputs."""
    asked = os.environ.get("GENOTUNE_CACHE")
    return Path(asked).expanduser() if asked else Path.home() / ".cache" / "genotune" / "inputs"


class _AbsentError(DataError):
    """It isn't there, or mayn't be read."""


def _look_up(url: str) -> RemotePart:
    label = masked(url)
    system, path = _system(url)
    try:
        system.invalidate_cache()
        facts = system.info(path)
    except Exception as error:  # noqa: BLE001 each protocol has its own errors
        raise _fault(error, label) from None
    if facts.get("type") == "directory":
        raise DataError(f"{label}: a folder; a file is wanted.")
    version = "; ".join(f"{name} {facts[name]}" for name in _CHANGES if facts.get(name))
    return RemotePart(url, facts.get("size"), version)


def _copy(part: RemotePart, to: Path, label: str) -> None:
    """Copy a file under another name, and give it its own when it is whole. No other process does so meanwhile."""
    if _look_up(part.url) != part:
        raise DataError(f"{label}: was changed where it lies since this sweep looked it up. Start the sweep again.")
    partial = to.with_name(f"{to.name}.part")
    size = f"{part.n_bytes / 1e6:,.1f} MB" if part.n_bytes is not None else "of unknown size"
    _log.info("copying %s (%s) to %s", masked(part.url), size, to)
    for pause_s in (*_PAUSES_S, None):
        fault = _fetch(part, partial)
        if fault is None:
            partial.replace(to)
            return
        partial.unlink(missing_ok=True)
        if pause_s is None or isinstance(fault, _AbsentError):
            raise fault
        _log.warning("%s Trying again.", fault)
        time.sleep(pause_s)


def _fetch(part: RemotePart, partial: Path) -> DataError | None:
    """Copy a file; what went wrong, if anything did on the other side."""
    label = masked(part.url)
    system, path = _system(part.url)
    try:
        system.get_file(path, str(partial))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fault(error, label)
    n_bytes = partial.stat().st_size
    if part.n_bytes is not None and n_bytes != part.n_bytes:
        return DataError(f"{label}: the copy was cut short: {n_bytes} of {part.n_bytes} bytes came.")
    return None


def _is_whole(folder: Path, remote: RemoteFile) -> bool:
    for part in remote.parts:
        try:
            n_bytes = (folder / part.name).stat().st_size
        except OSError:
            return False
        if part.n_bytes not in (None, n_bytes):
            return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Among the processes of this machine; the lock falls with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _system(url: str) -> tuple[Any, str]:
    """Fsspec's file system for a URL, and the path on it."""
    import fsspec

    protocol = url.partition("://")[0].lower()
    options: dict[str, Any] = {}
    if protocol in ("http", "https"):
        import aiohttp

        # Hours may pass while a large file comes, minutes may not pass without a byte; and a .gz stays one.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=60, sock_read=120)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True, "auto_decompress": False}
        options["headers"] = {"Accept-Encoding": "identity"}
    try:
        system, path = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        fix = f"pip install {package}" if package else str(error)
        raise DataError(f"{masked(url)}: reading {protocol}:// takes a package that isn't installed: {fix}") from None
    except Exception as error:  # noqa: BLE001 each protocol has its own errors
        message = f"{masked(url)}: can't be read ({masked(str(error))}). s3://, gs://, https:// and http:// can be."
        raise DataError(message) from None
    return system, path


def _with_ending(url: str, ending: str) -> str:
    path, mark, rest = url.partition("?")
    return f"{path}{ending}{mark}{rest}"


def _fault(error: BaseException, label: str) -> DataError:
    """What another library's error means; it may hold the URL, and so isn't chained."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    status = next((found for one in chain if isinstance(found := getattr(one, "status", None), int)), None)
    # What is wrong with the way there, fsspec takes for a missing file too.
    is_way = any(isinstance(one, OSError) or type(one).__module__.startswith("aiohttp") for one in chain[1:])
    if status in (404, 410) or (isinstance(error, FileNotFoundError) and not is_way):
        return _AbsentError(f"{label}: no such file there.")
    if status in (401, 403) or isinstance(error, PermissionError):
        return _AbsentError(
            f"{label}: no permission to read it. Is a login missing here? (s3: AWS_PROFILE, or FSSPEC_S3_ANON=true for "
            "a public bucket; gs: gcloud auth; https: ~/.netrc)"
        )
    if any(type(one).__name__ in ("NoCredentialsError", "TokenRetrievalError") for one in chain):
        return DataError(
            f"{label}: this machine has no login for it. Set AWS_PROFILE or AWS_ACCESS_KEY_ID, or for a public bucket "
            "FSSPEC_S3_ANON=true."
        )
    last = chain[-1]
    what = masked(str(last)) or type(last).__name__
    return DataError(f"{label}: can't be read from there ({what}).")


def _local_fault(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room for a copy in {folder.parent}. Make some, or set GENOTUNE_CACHE to a larger folder."
    return f"can't be copied to {folder.parent} ({error.strerror or error}). Set GENOTUNE_CACHE to another folder."
