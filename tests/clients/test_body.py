from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest

from clients.body import KEPT_OF_TOO_LARGE, Received, read_body

MIB = 1024 * 1024


class Chunks:
    """A body in pieces that counts how many of them were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece


async def received(chunks: Chunks, limit: int, **headers: str) -> Received:
    """What is kept of such a body."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    result = Received()
    await read_body(httpx.Response(200, headers=names, content=chunks), result, limit)
    return result


@pytest.mark.asyncio
async def test_a_body_up_to_the_limit_is_whole() -> None:
    """A body of exactly the limit is taken as it is, one byte more is too large."""
    whole = await received(Chunks(b"x" * 600, b"y" * 400), 1000)
    assert (whole.defect, whole.size, whole.body) == (None, 1000, b"x" * 600 + b"y" * 400)
    beyond = await received(Chunks(b"x" * 600, b"y" * 401), 1000)
    assert (beyond.defect, len(beyond.body)) == ("too_large", 1000)


@pytest.mark.asyncio
async def test_of_an_announced_huge_body_only_the_start_is_read() -> None:
    """When the size is announced beyond the limit, reading stops after what is kept and not at the limit."""
    chunks = Chunks(*[b"x" * KEPT_OF_TOO_LARGE] * 100)
    result = await received(chunks, 50 * KEPT_OF_TOO_LARGE, content_length=str(100 * KEPT_OF_TOO_LARGE))
    assert (result.defect, result.declared, chunks.taken) == ("too_large", 100 * KEPT_OF_TOO_LARGE, 2)
    assert len(result.body) == KEPT_OF_TOO_LARGE


@pytest.mark.asyncio
@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "9" * 19, ""])
async def test_a_nonsense_size_is_no_size(length: str) -> None:
    """An announced size that is no plain number is not used."""
    result = Received()
    response = httpx.Response(200, headers=[(b"content-length", length.encode())], content=Chunks(b"{}"))
    await read_body(response, result, 100)
    assert (result.declared, result.defect, result.body) == (None, None, b"{}")


@pytest.mark.asyncio
async def test_a_small_answer_never_unpacks_to_a_huge_one() -> None:
    """Memory stays near the limit while a bomb is unpacked, because unpacking itself is bounded."""
    bomb = gzip.compress(b"\0" * (64 * MIB))
    tracemalloc.start()
    try:
        result = await received(Chunks(bomb), MIB, content_encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.defect == "too_large"
    assert peak < 8 * MIB


@pytest.mark.asyncio
async def test_a_compressed_body_without_its_end_is_cut() -> None:
    """Content that unpacks well but lacks its closing checksum may lack more, and counts as cut."""
    result = await received(Chunks(gzip.compress(b"{}")[:-8]), 100, content_encoding="gzip")
    assert (result.defect, result.body) == ("cut", b"{}")
