"""What trackers have written, read without them: TensorBoard's event files, and the log of Weights & Biases.

TensorBoard: records as TFRecord has them (length, CRC, content, CRC), each an `Event` of tensorflow's event.proto,
of which the fields that are read here are taken apart by protobuf's wire format.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Value(NamedTuple):
    """A value of a summary."""

    tag: str
    step: int
    scalar: float | None
    content: bytes | None
    """Of an image its PNG, of a text its UTF-8."""


def _table() -> list[int]:
    """Castagnoli's CRC, byte by byte."""
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
        found.append(byte)
    return found


CRC = _table()


def masked_crc(data: bytes) -> int:
    """As TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[bytes]:
    """The events of a file, whose checksums must be right."""
    data = path.read_bytes()
    while data:
        (length, crc), content = struct.unpack("<QI", data[:12]), data[12:]
        assert masked_crc(data[:8]) == crc
        assert struct.unpack("<I", content[length : length + 4])[0] == masked_crc(content[:length])
        yield content[:length]
        data = content[length + 4 :]


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protobuf message's fields."""
    at = 0

    def varint() -> int:
        nonlocal at
        found = shift = 0
        while True:
            byte = message[at]
            at += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return found

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, message[at : at + size]
            at += size


def tensorboard(path: Path) -> list[Value]:
    """The values of an event file, in order."""
    found = []
    for record in records(path):
        event = dict(fields(record))
        for number, value in fields(event.get(5, b"")):  # type: ignore[arg-type]
            assert number == 1
            parts = dict(fields(value))  # type: ignore[arg-type]
            scalar = struct.unpack("<f", parts[2])[0] if 2 in parts else None  # type: ignore[arg-type]
            # An image's encoded_image_string, a tensor's string_val.
            content = dict(fields(parts[4]))[4] if 4 in parts else dict(fields(parts[8]))[8] if 8 in parts else None  # type: ignore[arg-type]
            found.append(Value(parts[1].decode(), event.get(2, 0), scalar, content))  # type: ignore[union-attr, arg-type]
    return found


def wandb_log(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format after a header of 7 bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        # 1 is a whole record, 4 the last part of one.
        if kind in (1, 4):
            yield whole
            whole = b""
