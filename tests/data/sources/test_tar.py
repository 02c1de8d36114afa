"""Headers of tar archives."""

import io
import tarfile

import numpy as np
import pytest

from vujax.data.sources.tar import TarError, read_members

NAMES = {
    "plain.txt": b"hello",
    "a/folder/empty.txt": b"",
    "block.bin": bytes(range(256)) * 2,
    "x" * 150 + ".jpg": b"long name" * 100,
    "deep/" * 60 + "file.png": b"long path",
    "ünïcode-图.json": b"{}",
}


def archive(kind: int, names: dict[str, bytes] = NAMES) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for name, data in names.items():
            folder = tarfile.TarInfo("some-folder")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            link = tarfile.TarInfo("link")
            link.type, link.linkname, link.size = tarfile.SYMTYPE, "elsewhere", 0
            tar.addfile(link)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def read(data: bytes, **options) -> list:
    return list(read_members(lambda offset, n: data[offset : offset + n], len(data), **options))


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_finds_what_tarfile_wrote(kind):
    data = archive(kind)
    found = {m.name: data[m.data : m.data + m.size] for m in read(data)}
    assert found == NAMES


def test_ustar_prefix_holds_the_front_of_a_long_path():
    name = "folder/" * 20 + "file.txt"
    data = archive(tarfile.USTAR_FORMAT, {name: b"x"})
    assert [m.name for m in read(data)] == [name]


def test_the_span_of_a_member_can_be_read_alone():
    data = archive(tarfile.GNU_FORMAT)
    for member in read(data):
        span = data[member.start : member.end]
        (alone,) = read(span, whole=False)
        assert alone.name == member.name
        assert span[alone.data : alone.data + alone.size] == NAMES[member.name]


def test_joined_archives_are_read_to_the_end():
    first, second = (archive(tarfile.GNU_FORMAT, {name: b"1"}) for name in ("a.txt", "b.txt"))
    assert [m.name for m in read(first + second)] == ["a.txt", "b.txt"]


def test_every_cut_is_noticed_and_loses_only_the_end():
    data = archive(tarfile.PAX_FORMAT)
    whole = read(data)
    last = whole[-1].end
    for size in range(0, last + 1, 256):
        seen = []
        with pytest.raises(TarError, match="truncated"):
            for member in read_members(
                lambda offset, n, s=size: data[offset : min(offset + n, s)], size
            ):
                seen.append(member)
        assert seen == [m for m in whole if m.data + m.size <= size]


def test_base_256_sizes():
    data = bytearray(archive(tarfile.GNU_FORMAT, {"a.txt": b"abc"}))
    header = read(bytes(data))[0].data - 512
    data[header + 124 : header + 136] = b"\x80" + (3).to_bytes(11, "big")
    data[header + 148 : header + 156] = b" " * 8
    total = sum(data[header : header + 512])
    data[header + 148 : header + 156] = b"%06o\0 " % total
    (member,) = read(bytes(data))
    assert (member.name, member.size) == ("a.txt", 3)


@pytest.mark.parametrize("place", [0, 124, 150, 300])
def test_a_damaged_header_names_its_place(place):
    data = bytearray(archive(tarfile.GNU_FORMAT))
    second = read(bytes(data))[1].start
    data[second + place] ^= 0x15
    with pytest.raises(TarError, match=f"at byte {second}: this is not a tar header"):
        read(bytes(data))


def test_other_files_are_not_taken_for_archives():
    with pytest.raises(TarError, match="at byte 0: this is not a tar header"):
        read(b"\x1f\x8b" + bytes(2000))


def with_field(place: int, value: bytes) -> bytes:
    """Return an archive whose first header has another field and the checksum of that."""
    data = bytearray(archive(tarfile.PAX_FORMAT, {"x" * 120: b"abc", "b.txt": b"b"}))
    start = read(bytes(data))[0].start
    data[start + place : start + place + len(value)] = value
    header = data[start : start + 512]
    header[148:156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(data)


@pytest.mark.parametrize(
    "size",
    [
        *(
            b"-0000001000\0",
            b"+0000001000\0",
            b"0_00001000\0\0",
            b"0o00001000\0\0",
            b"00000 01000\0",
        ),
        *(b"\xff" * 12, b"\xc0" + bytes(11), b"00000000009\0"),
    ],
)
def test_a_size_that_is_no_number_is_damage(size):
    with pytest.raises(TarError, match="this is not a tar header"):
        read(with_field(124, size))


@pytest.mark.parametrize("size", [b"\x80" + b"\x7f" * 11, b"77777777777\0"])
def test_a_size_beyond_the_file_is_truncation(size):
    with pytest.raises(TarError, match="truncated"):
        read(with_field(124, size))


@pytest.mark.parametrize(
    "records",
    [
        *(
            b"1 a=bc",
            b"0 a=b\n",
            b"-5 path=x\n",
            b"9999999 path=x\n",
            b"path=x\n",
            b"5 \n",
            b"7 abc\n",
        ),
        *(
            b"9 size=-1",
            b"10 size=-1\n",
            b"11 size=1_0\n",
            b"1" * 200 + b" a=b\n",
            b"\xd9\xa3 a=b\n",
        ),
    ],
)
def test_a_damaged_extended_header_is_damage(records):
    with pytest.raises(TarError, match="the extended header is damaged"):
        read(with_field(512, records.ljust(160, b"\0")))


def test_extended_headers_are_read_in_linear_time():
    records = b"9 a=bcde\n" * 100_000 + b"10 path=b\n"
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    block = info.tobuf(tarfile.GNU_FORMAT) + records.ljust(-(-len(records) // 512) * 512, b"\0")
    (member,) = read(block + archive(tarfile.GNU_FORMAT, {"a.txt": b"1"})[1024:])
    assert member.name == "b"
    info.size = 1 << 21
    with pytest.raises(TarError, match="claims 2097152 bytes"):
        read(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 21))


def test_any_damage_ends_in_members_of_the_file_or_an_error():
    data, rng = archive(tarfile.PAX_FORMAT), np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        ends = [0]
        try:
            for member in read_members(lambda at, n, d=damaged: bytes(d[at : at + n]), len(data)):
                assert ends[-1] <= member.start < member.data <= member.end <= len(data)
                assert 0 <= member.size <= member.end - member.data
                ends.append(member.end)
        except TarError:
            pass
