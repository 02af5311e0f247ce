"""Users by pseudonym: the same for the same user, and of no use to whoever does not have the project's secret."""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from pathlib import Path

from agentkit.errors import ConfigError

SECRET_FILE = "secret.key"
_BYTES = 32
_PSEUDONYM = re.compile(r"user-[0-9a-f]{32}")


def pseudonym(user: str, folder: Path | str) -> str:
    """`user-` and 32 hexadecimal digits: HMAC-SHA256 of what the caller named its user, with the secret in `folder`.

    The secret is made at first use.

    Raises:
        ConfigError: the secret cannot be read or made, is not what was made here, or others may read it.
    """
    plain = unicodedata.normalize("NFC", user.strip()).encode("utf-8", "backslashreplace")
    return f"user-{keyed_hash(folder, 'user', plain).hex()[:32]}"


def is_pseudonym(user: str) -> bool:
    """Whether it has the form of one."""
    return _PSEUDONYM.fullmatch(user) is not None


def keyed_hash(folder: Path | str, purpose: str, content: bytes) -> bytes:
    """HMAC-SHA256 with the secret in `folder`; hashes for different purposes have nothing to do with each other.

    Raises ConfigError as `pseudonym` does.
    """
    return hmac.digest(_secret(str(Path(folder).absolute())), purpose.encode() + b"\0" + content, hashlib.sha256)


def has_secret(folder: Path | str) -> bool:
    """Whether anybody was ever given a pseudonym with the secret of this folder."""
    return (Path(folder) / SECRET_FILE).is_file()


@functools.lru_cache(maxsize=16)
def _secret(folder: str) -> bytes:
    path = Path(folder) / SECRET_FILE
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode
        found = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the secret of pseudonyms cannot be read or made: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        found_mode = f"{stat.S_IMODE(mode):04o}"
        raise ConfigError(f"{path}: others may read it (mode {found_mode}), expected 0600: chmod 600 {path}")
    if len(found) != _BYTES:
        raise ConfigError(f"{path}: found {len(found)} bytes, expected the {_BYTES} that were made; restore the file")
    return found


def _make(path: Path) -> None:
    """Of several processes that make it at once, one is the first, and its secret is everybody's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # unlike a rename, it never replaces
        except FileExistsError:
            return
    finally:
        part.unlink(missing_ok=True)
