"""A captured ring (hwal tail --raw) by the official Python library and flatc's Python code: reader.py GENERATED FILE: one
JSON object a line. That library has no verifier."""
import json, sys

sys.path.insert(0, sys.argv[1])
import flatbuffers
from hwal.Message import Message
from hwal.Record import Record, RecordT


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in vars(value).items()} if hasattr(value, "__dict__") else value


buf, at = bytearray(open(sys.argv[2], "rb").read()), 0
while at < len(buf):
    size = flatbuffers.util.GetSizePrefix(buf, at)
    assert Record.RecordBufferHasIdentifier(buf, at, size_prefixed=True), f"byte {at}: no HWAL"
    record = Record.GetRootAs(buf, at + 4)
    print(json.dumps(plain(RecordT.InitFromObj(record))))
    at += 4 + size
