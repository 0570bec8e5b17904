"""What every kind of storage offers: whole objects, their versions, and writes on a condition."""

import dataclasses
import datetime
from pathlib import Path
from typing import Protocol

# Condition of a write: the object must not exist.
ABSENT = ""


@dataclasses.dataclass(frozen=True)
class StoredObject:
    """One version of an object: what is read stays the same even where it is overwritten meanwhile.

    Attributes:
        uri: Where it is.
        bucket: Its bucket; empty for a file.
        name: Its name in the bucket; a file's absolute path.
        size: Bytes.
        version: Another one after every write: a generation (gs://), an ETag (s3://), inode, size and time of a file.
        content: What the storage knows of its content: MD5 or CRC32C (gs://), the ETag (s3://), a file's version.
        modified: When it was written.
    """

    uri: str
    bucket: str
    name: str
    size: int
    version: str
    content: str
    modified: datetime.datetime

    @property
    def file_name(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Content:
    """What an object held, and the version that it was read of."""

    data: bytes
    version: str


class Store(Protocol):
    """One bucket, or the files of this machine."""

    def stat(self, name: str) -> StoredObject | None:
        """Looks at an object; None if there is none."""

    def list(self, folder: str, deep: bool = True) -> list[StoredObject]:
        """Returns the objects below a folder ("" for the bucket), sorted by name; its own ones only if not `deep`."""

    def read(self, name: str) -> Content | None:
        """Reads an object; None if there is none."""

    def download(self, item: StoredObject, path: Path) -> None:
        """Copies this version of an object to a file.

        Raises:
            DataError: It was overwritten or removed.
        """

    def write(self, name: str, data: bytes | Path, expected: str | None) -> bool:
        """Writes an object whole or not at all.

        Args:
            name: Its name.
            data: Its content, or the file that holds it.
            expected: None for any state, `ABSENT`, or the version that it must still have.

        Returns:
            Whether it was as expected; otherwise nothing is written.
        """

    def delete(self, name: str) -> None:
        """Removes an object; it is no error that there is none."""
