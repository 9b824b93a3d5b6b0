"""core.safe_pickle: what pickle writes for plain data comes back; code is named and never run."""

import argparse
import collections
import datetime
import io
import os
import pickle
import pickletools
import random
import shutil
import struct

import numpy as np
import pytest

from core.errors import UserError
from core.files.limits import Limits, limited_to
from core.pickles.values import Placeholder, array
from core.safe_pickle import read_pickle

PLAIN = {
    "numbers": [
        0,
        1,
        -1,
        255,
        256,
        65536,
        -(2**31),
        2**31,
        2**63,
        -(2**200),
        0.5,
        -1e300,
        float("inf"),
    ],
    "texts": ["", "plain", "ünïcode ☃", "x" * 300, "\ud800"],
    "bytes": [b"", b"\x00\xff", b"y" * 300],
    "constants": (None, True, False),
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "nested": {"a": {"b": [{"c": ()}]}, 3: "three", None: 0, (1, "k"): 2},
    "sets": [{1, 2}, frozenset({"a"}), set()],
}


def no_storage(told):
    raise ValueError("no storage here")


def read(data):
    return read_pickle(io.BytesIO(data), "file.pt", no_storage)


def refusal(data):
    with pytest.raises(UserError) as caught:
        read(data)
    assert str(caught.value).startswith("file.pt: ")
    return str(caught.value)


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol):
    if protocol == 0:
        plain = {key: PLAIN[key] for key in ("numbers", "constants", "tuples", "nested")}
    else:
        plain = PLAIN
    found = read(pickle.dumps(plain, protocol))
    assert found.value == plain
    assert found.classes == ()


def test_shared_values_stay_shared_and_the_stream_stands_behind():
    part = [1]
    stream = io.BytesIO(pickle.dumps([part, part], 2) + b"rest")
    first, second = read_pickle(stream, "f", no_storage).value
    assert first is second and stream.read() == b"rest"


@pytest.mark.parametrize("protocol", [2, 4])
def test_containers_of_the_library(protocol):
    value = [
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, {"x": [1]}),
        collections.Counter("aab"),
        collections.deque([1, 2]),
        bytearray(b"ab"),
        complex(1, 2),
    ]
    found = read(pickle.dumps(value, protocol)).value
    assert found == [{"b": 1, "a": 2}, {"x": [1]}, {"a": 2, "b": 1}, [1, 2], b"ab", 1 + 2j]


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_and_arrays(protocol):
    value = [np.float64(0.25), np.int32(-7), np.bool_(True), np.float32(1.5)]
    assert read(pickle.dumps(value, protocol)).value == [0.25, -7, True, 1.5]
    for kind in ("<f8", ">f4", "<i2", "|b1", "<c8"):
        numbers = np.arange(6).astype(kind).reshape(2, 3)
        for order in (numbers, np.asfortranarray(numbers)):
            found = array(read(pickle.dumps(order, protocol)).value)
            np.testing.assert_array_equal(found, numbers)
    assert array(read(pickle.dumps(np.array([None, "x"]), protocol)).value) is None


def test_objects_become_placeholders_that_name_their_class():
    value = {"args": argparse.Namespace(lr=0.1), "when": datetime.datetime(2024, 1, 2)}
    found = read(pickle.dumps(value, 2))
    assert isinstance(found.value["args"], Placeholder)
    assert found.value["args"].state == {"lr": 0.1}
    assert set(found.classes) >= {"argparse.Namespace", "datetime.datetime"}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "function", [os.system, eval, exec, getattr, os.getcwd, __import__, shutil.rmtree, pickle.loads]
)
def test_code_is_named_and_not_run(function, protocol, tmp_path):
    marker = tmp_path / "ran"
    said = refusal(pickle.dumps({"w": 1, "x": Calls(function, f"touch {marker}")}, protocol))
    assert "code" in said and "nothing was executed" in said and function.__name__ in said
    assert not marker.exists()


def test_a_function_that_is_only_mentioned_is_no_code():
    assert read(pickle.dumps({"act": np.mean}, 2)).value["act"].name.endswith("mean")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]K\x01K\x02s.",  # SETITEM on a list
        b"\x80\x02}K\x01a.",  # APPEND on a dict
        b"\x80\x02K\x01}b.",  # BUILD on a number
        b"\x80\x02K\x01)R.",  # a call of a number
        b"\x80\x02}]K\x01s.",  # a list as a key
        b"\x80\x02h\x05.",  # a memo that was never put
        b"\x80\x02t.",
        b"\x80\x02.",
        b"\x80\x02u.",
        b"\x80\x02\x85.",
        b"\x80\x02",
        b"",
        b"\xff",
        b"\x80\x02\x82\x01.",  # an extension code
        b"\x80\x02\x8b" + struct.pack("<i", 10**6) + b"\0" * 10**6 + b".",  # a number of 1 MB
        b"\x80\x02\x8b" + struct.pack("<i", -4) + b".",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",  # a text of 2^62 bytes
        b"\x80\x02(U\x02os\x93.",  # STACK_GLOBAL without a name
        b"\x80\x02cposix\nsystem",
        b"\x80\x02Y.",
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_damage_is_one_message(data):
    refusal(data)


def test_deep_tuples_are_not_hashed():
    deep = b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s."
    assert "key" in refusal(deep)


def test_bytearray_of_a_length_is_refused():
    assert "bytearray" in refusal(pickle.dumps(Calls(bytearray, 2**33), 2))


def test_limits():
    with limited_to(Limits(pickle_objects=100)):
        assert "limit" in refusal(pickle.dumps(list(range(200)), 2))
    with limited_to(Limits(pickle_bytes=1000)):
        assert "limit" in refusal(pickle.dumps("x" * 2000, 2))


def test_mutations_give_a_value_or_a_message():
    chance = random.Random(0)
    value = {
        "w": [1, 2.5, "text"],
        "o": argparse.Namespace(a=(1, 2)),
        "n": np.arange(3),
        "d": collections.OrderedDict(a=1),
    }
    for protocol in (2, 4):
        whole = pickle.dumps(value, protocol)
        for _ in range(1500):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                read(bytes(data))
            except UserError:
                continue


def test_every_opcode_of_pickle_is_known_or_left_out_on_purpose():
    from core.safe_pickle import OPCODES

    every = {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
    left_out = every - OPCODES.keys() - {b"."}
    assert left_out == {b"\x82", b"\x83", b"\x84", b"\x97", b"\x98"}  # extensions, outside buffers
