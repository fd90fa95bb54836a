"""Compressed record batches → bytes, with a limit: a small batch may not fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import lz4.frame
import snappy
import zstandard

_GZIP_WINDOW = 31  # 15 bits, plus 16: the gzip header
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16  # magic, version, oldest compatible version
_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class TooLargeError(ValueError):
    """A batch would decode to more bytes than allowed."""


class DamagedError(ValueError):
    """A batch is no output of its codec."""


def decompress(codec: int, content: bytes, limit: int) -> bytes:
    """Decode the records of a batch.

    Args:
        codec: number in the batch's attributes, 1 to 4.
        content: the bytes after the batch's head.
        limit: most bytes to return.

    Raises:
        TooLargeError: it decodes to more.
        DamagedError: it does not decode, or the codec is unknown.

    >>> decompress(1, zlib.compress(b"abc", wbits=31), 3)
    b'abc'
    """
    if not 0 < codec < len(_CODECS):
        raise DamagedError(f"codec {codec} is unknown")
    try:
        decoded = _DECODERS[codec](content, limit)
    except (zlib.error, zstandard.ZstdError, RuntimeError, snappy.UncompressError) as error:
        raise DamagedError(f"is no {_CODECS[codec]}: {error}") from None
    if len(decoded) > limit:
        raise TooLargeError(f"{_CODECS[codec]} decodes to more than {limit:,} bytes")
    return decoded


def _gzip(content: bytes, limit: int) -> bytes:
    return zlib.decompressobj(_GZIP_WINDOW).decompress(content, limit + 1)


def _lz4(content: bytes, limit: int) -> bytes:
    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(content, limit + 1))


def _zstd(content: bytes, limit: int) -> bytes:
    if zstandard.frame_content_size(content) > limit:
        return b"\0" * (limit + 1)
    with zstandard.ZstdDecompressor().stream_reader(content) as reader:
        return bytes(reader.read(limit + 1))


def _snappy(content: bytes, limit: int) -> bytes:
    """Decode one block, or the blocks that Java's writer puts one after the other."""
    if not content.startswith(_XERIAL):
        return _snappy_block(content, limit)
    blocks, at, size = [], _XERIAL_HEADER_BYTES, 0
    while at < len(content) and size <= limit:
        n_bytes = int.from_bytes(content[at : at + 4], "big")
        at += 4
        blocks.append(_snappy_block(content[at : at + n_bytes], limit - size))
        size += len(blocks[-1])
        at += n_bytes
    return b"".join(blocks)


def _snappy_block(content: bytes, limit: int) -> bytes:
    """Decode a block that says how long it will be."""
    size = shift = 0
    for byte in content[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return b"\0" * (limit + 1) if size > limit else bytes(snappy.uncompress(content))


_DECODERS: tuple[Callable[[bytes, int], bytes], ...] = (
    lambda content, _limit: content, _gzip, _snappy, _lz4, _zstd,
)  # fmt: skip
