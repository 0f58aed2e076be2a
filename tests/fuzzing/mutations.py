"""How a good file becomes a bad one: bytes that are cut, flipped and moved, values of another kind, shape or size."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

DEEP = 3000  # groups inside groups
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    -(2**63),
    10**30,
    10**400,
    0.5,
    -0.0,
    1e-300,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "x",
    "../x",
    "/etc/passwd",
    "a\0b",
    "\u202e\ud7ff",
    "x" * 5000,
    "nan",
    "1e999",
    [],
    {},
    [[]],
    {"": {}},
    [0] * 300,
    {"a": [None]},
)
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (3, 0), (2, 2), (1, 1, 1), (7, 478, 3), (1, 2, 3, 4, 5))
KINDS = ("f4", "f8", "f2", "i8", "u1", "?", "c8", ">f4", "U3", "S3", "M8[s]", "V4", "f16")


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after one to four changes of its bytes."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        _change(draw, content, seeds)
    return bytes(content)


def _change(draw: st.DrawFn, content: bytearray, seeds: Sequence[bytes]) -> None:
    size = len(content)
    # Headers and indices, at both ends, decide more than what lies between.
    end = min(size, draw(st.sampled_from([64, 512, 4096, size or 1])))
    place = draw(st.integers(0, max(end - 1, 0)))
    if draw(st.booleans()) and size > 4096:
        place = size - 1 - place
    length = draw(st.sampled_from([1, 4, 16, 100, 1000]))
    kind = draw(st.sampled_from(["cut", "flip", "fill", "number", "remove", "twice", "swap", "add", "splice"]))
    if kind == "cut":
        del content[place:]
    elif kind == "flip":
        for _ in range(draw(st.integers(1, 8))):
            if content:
                content[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    elif kind == "fill":
        content[place : place + length] = bytes([draw(st.sampled_from([0, 0x20, 0x7F, 0xFF]))]) * length
    elif kind == "number":
        width, order = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from(["little", "big"]))
        number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * width)
        content[place : place + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
    elif kind == "remove":
        del content[place : place + length]
    elif kind == "twice":
        content[place:place] = content[place : place + length] * draw(st.sampled_from([1, 2, 50]))
    elif kind == "swap":
        other = draw(st.integers(0, max(size - 1, 0)))
        one, two = content[place : place + length], content[other : other + length]
        content[place : place + length], content[other : other + length] = two, one
    elif kind == "add":
        content[place:place] = draw(st.binary(min_size=1, max_size=40))
    else:
        foreign = draw(st.sampled_from(seeds))
        content[place:] = foreign[draw(st.integers(0, max(len(foreign) - 1, 0))) :]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of keys and indices to everything inside a document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


@st.composite
def changed(draw: st.DrawFn, documents: Sequence[Any]) -> Any:
    """One of the documents (dicts and lists) after one to three changes of its keys and values."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(document)
        if not places:
            return draw(st.sampled_from(STRANGE))
        *above, key = draw(st.sampled_from(places))
        holder = document
        for part in above:
            holder = holder[part]
        kind = draw(st.sampled_from(["value", "value", "value", "remove", "rename", "twice"]))
        if kind == "value":
            holder[key] = deepcopy(draw(st.sampled_from(STRANGE)))  # what is put into it must not change the table
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["", "x", "path", "a.b", "1"])) if kind == "rename" else f"{key} "] = holder[
                key
            ]
        else:
            holder.insert(key, deepcopy(holder[key]))
    return document


def json_bytes(documents: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Texts of changed documents, damaged texts, and bombs."""
    good = [json.dumps(document).encode() for document in documents]
    bombs = [
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"clips":' + b"[" * 100_000,
        b'{"frames": ' + b"9" * 5000 + b"}",
        b"\xff\xfe{",
    ]
    return st.one_of(
        changed(documents).map(_dumped), changed(documents).map(_dumped), damaged(good), st.sampled_from(bombs)
    )


def _dumped(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


def yaml_bytes(documents: Sequence[Any], more: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Texts of changed documents, damaged texts, and bombs."""
    good = [yaml.safe_dump(document).encode() for document in documents]
    laughs = b"a: &a [1, 2]\n" + b"".join(
        b"%c: &%c [*%c, *%c, *%c]\n" % (k, k, k - 1, k - 1, k - 1) for k in range(98, 123)
    )
    bombs = [
        laughs,
        laughs + b"actors: *z\n",
        b"- " * DEEP,
        b"[" * 5_000,
        b"{a: " * DEEP,
        b"a: &a [*a]\nactors: *a\n",
        b"seed: 0x" + b"f" * 6000,
        b"seed: 2001-99-99",
        b"- {at: 2001-99-99 00:00:00, happy: 1}",
        b"? [a]\n: 1",
        b"? {a: b}\n: 1",
        b"!!python/object/apply:os.system ['touch trap']",
        b"seed: 1:1:1:1:1:1:1:1",
        b"<<: [1, 2]",
        b"- <<: *x",
        b"%YAML 9.9\n---\na",
        b"seed: .inf",
        b"a\0b",
        b"\xff",
        b"- {at: 1e400, happy: .nan}",
        b"- {at: " + b"9" * 5000 + b"}",
        b"--- a\n--- b\n",
        b"&a " * 1000,
        *more,
    ]
    texts = changed(documents).map(
        lambda each: yaml.safe_dump(each, allow_unicode=True).encode("utf-8", "surrogatepass")
    )
    return st.one_of(texts, texts, damaged(good), st.sampled_from(bombs))


@st.composite
def arrays(draw: st.DrawFn, good: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays after one to three of them are lost, spoilt, cut, or become others."""
    found = dict(good)
    for _ in range(draw(st.integers(1, 3))):
        if not found:
            break
        name = draw(st.sampled_from(sorted(found)))
        array = found[name]
        kind = draw(st.sampled_from(["remove", "rename", "values", "values", "type", "shape", "cut", "more"]))
        if kind in ("remove", "rename"):
            del found[name]
            if kind == "rename":
                found[f"{name}x"] = array
        elif kind == "values" and array.dtype.kind in "fiu" and array.size:
            array = array.copy()
            value = draw(st.sampled_from([math.nan, math.inf, -math.inf, 1e30, -1e30, 0, -1, 2**62]))
            with np.errstate(all="ignore"):
                spoilt = np.array(value, np.float64).astype(array.dtype)
            array.reshape(-1)[draw(st.integers(0, array.size - 1)) :: draw(st.sampled_from([1, 7, array.size]))] = (
                spoilt
            )
            found[name] = array
        elif kind == "type":
            found[name] = np.zeros(array.shape, draw(st.sampled_from(KINDS)))
        elif kind == "shape":
            found[name] = np.zeros(draw(st.sampled_from(SHAPES)), array.dtype)
        elif kind == "cut" and array.ndim:
            found[name] = array[: draw(st.integers(0, len(array)))]
        else:
            found[name] = np.concatenate([array, array]) if array.ndim else array[None]
    return found


def npy(array: np.ndarray) -> bytes:
    """An array as .npy."""
    memory = io.BytesIO()
    np.save(memory, array, allow_pickle=False)
    return memory.getvalue()


def npy_announcing(shape: str, kind: str = "<f4", data: bytes = b"1234") -> bytes:
    """An .npy whose header says what it likes."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


BAD_NPY = [
    *(
        npy_announcing(shape)
        for shape in ("(1000000000000,)", "(-1,)", "(2**70,)", "(99999999999999999999,)", "()", "(1", "x")
    ),
    *(
        npy_announcing("(1,)", kind)
        for kind in ("|O", "<f99", "O8", "<U999999999", ",".join(["f4"] * 500), "V0", "|V0")
    ),
    npy_announcing("(" * 200 + "1" + ")" * 200),
    npy_announcing("(1,)", "|O", b"\x80\x04cposix\nsystem\n(S'touch trap'\ntR."),
]


def npy_bytes(good: Sequence[np.ndarray]) -> st.SearchStrategy[bytes]:
    """Changed arrays, damaged bytes, and headers that announce what is not there."""
    whole = [npy(each) for each in good]
    other = (
        st.sampled_from(list(good))
        .flatmap(lambda each: arrays({"a": each}))
        .map(lambda found: npy(found.get("a", good[0])))
    )
    return st.one_of(other, damaged(whole), st.sampled_from(BAD_NPY))


def npz(members: Mapping[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    """Members as a zip."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return memory.getvalue()


def npz_bytes(good: Mapping[str, np.ndarray]) -> st.SearchStrategy[bytes]:
    """Changed arrays, members that announce what is not there, bombs, damaged bytes."""

    def stored(found: Mapping[str, np.ndarray], packed: int) -> bytes:
        return npz({name: npy(array) for name, array in found.items()}, packed)

    whole = stored(good, zipfile.ZIP_STORED)
    packings = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    others = st.builds(stored, arrays(good), packings)
    names = st.sampled_from(sorted(good))
    members = {name: npy(array) for name, array in good.items()}
    lying = st.builds(lambda name, bad: npz({**members, name: bad}), names, st.sampled_from(BAD_NPY))
    packed = stored(good, zipfile.ZIP_DEFLATED)
    zeros = npz({**members, min(good): npy_announcing("(4000000,)", "<f4", bytes(16_000_000))}, zipfile.ZIP_DEFLATED)
    return st.one_of(
        others,
        others,
        lying,
        damaged([whole, packed]),
        st.sampled_from([zeros, npy(np.zeros(3)), b"PK\x05\x06" + bytes(18)]),
    )


def tensor_file(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], header: bytes | None = None) -> bytes:
    """safetensors, written here so that it may be wrong; `header` in place of the right one."""
    names = {"f": "F", "i": "I", "u": "U", "b": "BOOL"}
    described: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    place, blocks = 0, []
    for name, array in tensors.items():
        kind = names.get(array.dtype.kind, "X")
        width = "" if kind == "BOOL" else str(8 * array.dtype.itemsize)
        described[name] = {
            "dtype": f"{kind}{width}",
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
        blocks.append(np.ascontiguousarray(array).tobytes())
    text = json.dumps(described).encode() if header is None else header
    return len(text).to_bytes(8, "little") + text + b"".join(blocks)


def tensor_bytes(good: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> st.SearchStrategy[bytes]:
    """Changed tensors, changed facts, changed headers, bombs, damaged bytes."""
    whole = tensor_file(good, metadata)
    facts = json.loads(metadata.get("facts", "{}"))
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    others = arrays(good).map(lambda found: tensor_file(found, metadata))
    told = changed([facts] if facts else [{"a": 1}]).map(
        lambda each: tensor_file(good, {**metadata, "facts": json.dumps(each)})
    )
    announced = changed([header]).map(lambda each: tensor_file(good, {}, _dumped(each)))
    bombs = [
        b"\xff" * 8 + whole[8:],
        (2**40).to_bytes(8, "little") + whole[8:],
        (100 << 20).to_bytes(8, "little") + whole[8:],
        tensor_file(good, {**metadata, "facts": "[" * 100_000}),
        tensor_file({}, {}),
        tensor_file(good, {}),
        whole[:8],
        tensor_file({}, {}, b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'),
        tensor_file({}, {}, b'{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}'),
        tensor_file({}, {}, b"{" * 50_000),
    ]
    return st.one_of(others, others, told, announced, damaged([whole]), st.sampled_from(bombs))


def table_bytes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> st.SearchStrategy[bytes]:
    """A csv with other cells, rows and columns, and damaged bytes."""
    good = [list(header), *(list(row) for row in rows)]
    whole = "\n".join(",".join(row) for row in good).encode()
    strange = [
        "",
        "nan",
        "inf",
        "-1",
        "1e999",
        "1e12",
        "1_0",
        "x",
        '"',
        '"\n',
        "\0",
        "٣",
        "x" * 200_000,
        "0x10",
        " 1 ",
        "\u2028",
    ]

    @st.composite
    def other(draw: st.DrawFn) -> bytes:
        table = [list(row) for row in good]
        for _ in range(draw(st.integers(1, 4))):
            row = table[draw(st.integers(0, len(table) - 1))]
            kind = draw(st.sampled_from(["cell", "cell", "cell", "short", "long", "row"]))
            if kind == "cell" and row:
                row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(strange))
            elif kind == "short":
                del row[draw(st.integers(0, len(row))) :]
            elif kind == "long":
                row += ["1"] * draw(st.sampled_from([1, 100]))
            else:
                table.append(row)
        return "\n".join(",".join(row) for row in table).encode()

    bombs = [
        b"",
        b"\n" * 1000,
        b"a" * 300_000,
        b",".join([b"x"] * 50_000),
        whole.replace(b"\n", b"\r"),
        whole.decode().encode("utf-16"),
    ]
    return st.one_of(other(), other(), damaged([whole]), st.sampled_from(bombs))


def words(good: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Words of a command line, changed."""
    strange = [
        *good,
        "",
        ":",
        ",",
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 5000,
        "\0",
        "a\nb",
        "../x",
        "/dev/zero",
        "http://x/y",
        "happy:",
        "::1",
        "x" * 5000,
    ]
    mixed = st.lists(st.one_of(st.sampled_from(strange), st.text(max_size=8)), min_size=1, max_size=4)
    joined = st.builds(lambda parts, mark: mark.join(parts), mixed, st.sampled_from(["", ":", ","]))
    return joined.map(lambda text: text.encode("utf-8", "surrogatepass"))
