"""Reads an answer's body with a bound on what is kept, also when it arrives compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import httpx

KEPT_OF_TOO_LARGE = 64 * 1024
"""Bytes kept of an answer that is beyond the limit: enough for a person to see what it was."""


@dataclass(slots=True)
class Received:
    """What has arrived of one answer so far. It is filled while reading, so that a cut answer still shows its start.

    Attributes:
        status: None until the headers were read.
        defect: ``cut``, ``too_large`` or ``unreadable`` (broken compression); None when the body is whole.
        declared: the size that the other side announced, in bytes, when it did.
    """

    status: int | None = None
    retry_after: str | None = None
    date: str | None = None
    declared: int | None = None
    defect: str | None = None
    chunks: list[bytes] = field(default_factory=list, repr=False)
    size: int = 0

    @property
    def body(self) -> bytes:
        """The bytes kept."""
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


async def read_body(response: httpx.Response, received: Received, limit: int) -> None:
    """Read the body into ``received``, at most ``limit`` bytes after decompression.

    Beyond the limit reading stops, the first 64 KiB stay and the defect is ``too_large``.

    Raises:
        httpx.RequestError: the connection failed on the way; ``received`` holds what came before.
    """
    length = response.headers.get("content-length", "")
    received.declared = int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else None
    encoding = response.headers.get("content-encoding", "").strip().lower()
    # httpx would unpack a chunk whole, however large it becomes; this unpacks up to the limit and no further.
    unpack = zlib.decompressobj(wbits=47) if encoding in ("gzip", "x-gzip", "deflate") else None
    if received.declared is not None and received.declared > limit:
        limit = min(limit, KEPT_OF_TOO_LARGE)
    try:
        async for chunk in response.aiter_raw():
            piece = chunk if unpack is None else unpack.decompress(chunk, limit - received.size + 1)
            received.size += len(piece)
            received.chunks.append(piece)
            if received.size > limit:
                received.chunks = [received.body[: min(limit, KEPT_OF_TOO_LARGE)]]
                received.defect = "too_large"
                return
    except zlib.error:
        received.defect = "unreadable"
        return
    if unpack is not None and not unpack.eof and received.size:
        received.defect = "cut"
