"""Uploads that are broken, lie, or would fill the memory."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from service_cases import picture

FORM = "Content-Type: multipart/form-data; boundary=edge"
SQL = "0' OR '1'='1'; DROP TABLE crops; --"


class Case(NamedTuple):
    name: str
    method: str
    path: str
    headers: tuple[str, ...] = ()
    body: bytes = b""
    expected: frozenset[int] = frozenset(range(400, 500))


def part(head: bytes, data: bytes) -> bytes:
    return b"--edge\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def file(data: bytes, name: bytes = b"image", filename: bytes = b"a.png") -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"; filename="' + filename + b'"'
    return part(head, data)


def field(name: bytes, value: bytes) -> bytes:
    return part(b'Content-Disposition: form-data; name="' + name + b'"', value)


END = b"--edge--\r\n"


def forms() -> Iterator[Case]:
    """Multipart bodies that are broken, too many, or say what cannot be."""
    good = file(picture())
    bodies = {
        "nothing": b"",
        "no parts": END,
        "no end": good,
        "wrong edge": good.replace(b"edge", b"other") + END.replace(b"edge", b"other"),
        "garbage": b"\r\n" * 5000,
        "returns": b"--edge" + b"\r" * 100_000,
        "dashes": b"--edge\r\n" + b"-" * 100_000,
        "no name": part(b"Content-Disposition: form-data", b"x") + END,
        "no disposition": part(b"X: y", b"x") + END,
        "no head": b"--edge\r\n\r\nx\r\n" + END,
        "name of two lines": file(picture(), b"image\r\nX: 1") + END,
        "other name": file(picture(), b"\xff\xfe") + END,
        "nine files": good * 9 + END,
        "thousands of files": file(b"") * 3000 + END,
        "thousands of fields": good + field(b"camera", b"c1") * 3000 + END,
        "201 cameras": good + field(b"camera", b"c1") * 201 + END,
        "long field": good + field(b"camera", b"a" * 100_000) + END,
        "many heads": part(b"\r\n".join(b"X%d: y" % n for n in range(200)), b"x") + END,
        "long head": part(b"X: " + b"y" * 50_000, b"x") + END,
        "text instead of a file": field(b"image", picture()[:200]) + END,
        "the name of a file": field(b"image", b"/etc/passwd") + END,
    }
    for name, body in bodies.items():
        yield Case(f"form {name}", "POST", "/api/search", (FORM,), body)
    for name, value in (
        ("k", "0"), ("k", "-1"), ("k", str(10**30)), ("k", "nan"), ("k", "1.5"), ("k", "ten"),
        ("since", "nan"), ("until", "inf"), ("rerank", "perhaps"), ("camera", SQL),
        ("camera", "\0"), ("camera", "c1\r\nX: 1"), ("cameras", "c1"), ("ids", "0"),
    ):  # fmt: skip
        body = good + field(name.encode(), value.encode()) + END
        expected = frozenset({422})
        yield Case(f"field {name}={value[:20]!r}", "POST", "/api/search", (FORM,), body, expected)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=",
                 "multipart/mixed; boundary=edge",
                 "multipart/form-data; boundary=" + "a" * 300, "multipart/form-data; boundary=\xe9",
                 "application/x-www-form-urlencoded", "application/json", "image/png",
                 "multipart/form-data; boundary=edge; charset=evil; boundary=other"):  # fmt: skip
        headers = (f"Content-Type: {kind}",)
        yield Case(f"kind {kind[:45]}", "POST", "/api/search", headers, good + END)
    gzipped = (FORM, "Content-Encoding: gzip")
    yield Case("gzip", "POST", "/api/search", gzipped, gzip.compress(good + END))
    urlencoded = ("Content-Type: application/x-www-form-urlencoded",)
    yield Case("fields", "POST", "/api/search", urlencoded, b"camera=c1&" * 5000)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *more: bytes, depth: int = 1, kind: int = 0, data: bytes = b""
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = (chunk(b"IHDR", head), *more, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(20_000_000))
    return stream.getvalue()


def sized(data: bytes, marker: bytes, at: int, value: bytes) -> bytes:
    place = data.index(marker) + at
    return data[:place] + value + data[place + len(value) :]


def pictures() -> Iterator[Case]:
    """Files that are no pictures, broken ones, and such as would fill the memory."""
    jpeg, webp, bmp = picture(kind="JPEG"), picture(kind="WEBP"), picture(kind="BMP")
    rows, bomb = zlib.compress(bytes(1251 * 10_000), 9), zlib.compress(bytes(50_000_000), 9)
    giant = struct.pack("<ii", 100_000, 100_000)
    told = {
        "empty": b"",
        "text": b"hello",
        "script": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "html": b"<!doctype html><script>alert(1)</script>",
        "zip": zipped(),
        "gzip": gzip.compress(picture()),
        "gif": picture(kind="GIF"),
        "tiff": picture(kind="TIFF"),
        "ppm": picture(kind="PPM"),
        "ico": picture(16, 16, kind="ICO"),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999999 9999999\n",
        "psd": b"8BPS\0\1" + bytes(6) + b"\0\3" + b"\x7f" * 8 + b"\0\x08\0\3",
        "magic of PNG": b"\x89PNG\r\n\x1a\n",
        "magic of JPEG": b"\xff\xd8\xff",
        "magic of BMP": b"BM",
        "magic of WebP": b"RIFF\x10\0\0\0WEBPVP8 ",
        "PNG of 10 thousand million pixels": png(100_000, 100_000),
        "PNG of 2^31 wide": png(2**31 - 1, 1),
        "PNG of 2^32 wide": png(2**32 - 1, 2**32 - 1),
        "PNG of no width": png(0, 10),
        "PNG bomb": png(10_000, 10_000, data=rows),
        "PNG without data": png(10, 10),
        "PNG with a text bomb": png(10, 10, chunk(b"zTXt", b"k\0\0" + bomb)),
        "PNG with a profile bomb": png(10, 10, chunk(b"iCCP", b"k\0\0" + bomb)),
        "PNG with a chunk of 2 GB": b"\x89PNG\r\n\x1a\n" + b"\x7f\xff\xff\xffIHDR" + bytes(100),
        "PNG with a wrong sum": sized(picture(), b"IHDR", 17, b"\0\0\0\0"),
        "JPEG of 65500 x 65500": sized(jpeg, b"\xff\xc0", 5, struct.pack(">HH", 65_500, 65_500)),
        "JPEG of no height": sized(jpeg, b"\xff\xc0", 5, b"\0\0"),
        "BMP of 10 thousand million pixels": sized(bmp, b"BM", 18, giant),
        "BMP of negative width": sized(bmp, b"BM", 18, struct.pack("<i", -5)),
        "BMP whose data is elsewhere": sized(bmp, b"BM", 10, b"\xff\xff\xff\x7f"),
        "WebP that lies about its length": sized(webp, b"RIFF", 4, b"\xff\xff\xff\xff"),
    }  # fmt: skip
    for kind, data in (("PNG", picture()), ("JPEG", jpeg), ("WebP", webp), ("BMP", bmp)):
        for share in (0.1, 0.5, 0.9):
            told[f"{kind} cut at {share:g}"] = data[: int(len(data) * share)]
    expected = frozenset({413, 415})
    for name, data in told.items():
        body = file(data) + END
        yield Case(f"picture {name}", "POST", "/api/search", (FORM,), body, expected)
        yield Case(f"new {name}", "POST", "/api/crops", (FORM,), body, expected)
    mixed = file(picture()) + file(b"no picture") + END
    yield Case("picture one of two", "POST", "/api/search", (FORM,), mixed, expected)
    large = file(bytes(300_000)) + END
    yield Case("picture too long", "POST", "/api/search", (FORM,), large, frozenset({413}))
    for name, value in (
        ("path", "../../etc/passwd"), ("path", "/etc/passwd"), ("path", "a\0b"),
        ("path", "a\r\nX: 1"), ("path", "C:\\evil"), ("path", "a/./b"), ("path", "a" * 2000),
        ("source", "a\nb"),
        ("source", "\x1b[31m"), ("camera", "\u202ec"), ("time", "nan"), ("time", "-inf"),
        ("track", "-1"), ("track", str(10**30)), ("track", "0.5"), ("id", "1"),
    ):  # fmt: skip
        body = file(picture()) + field(name.encode(), value.encode()) + END
        yield Case(
            f"new {name}={value[:20]!r}", "POST", "/api/crops", (FORM,), body, frozenset({422})
        )
