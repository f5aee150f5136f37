#!/usr/bin/env python3
"""tail: messages of a ring of a live engine, read by Python: libhwal through ctypes copies each one out of shared memory,
and the official FlatBuffers library decodes its bytes by code that flatc made from the schema.

    apt-get install python3-flatbuffers flatbuffers-compiler
    flatc --python -o . "$(pkg-config --variable=schema hwal)"
    ./tail.py [RING [COUNT [INSTANCE]]]

Each line: sequence, type, and the body's fields as JSON; vectors (levels) as lists."""
import ctypes as c
import importlib
import json
import re
import sys
import time

try:
    import flatbuffers  # noqa: F401  what flatc generates needs it
except ImportError:
    sys.exit(f"tail.py: {sys.executable} has no module flatbuffers: apt-get install python3-flatbuffers, then "
             "/usr/bin/python3 tail.py")

OK, EMPTY, GAP, RESTART = 0, 1, 2, 3
VOID, TEXT, U32, U64 = c.c_void_p, c.c_char_p, c.c_uint32, c.c_uint64


class Message(c.Structure):  # hwal_message_t
    _fields_ = [("seq", U64), ("lost_from", U64), ("lost_to", U64),
                ("type", U32), ("topic", U32), ("tenant", U32), ("body_len", U32),
                ("body", VOID), ("tail", VOID), ("text", TEXT), ("raw", VOID),
                ("tail_count", U32), ("raw_len", U32), ("reserved", U64 * 6)]


lib = c.CDLL("libhwal.so.1")
for name, result, arguments in (("hwal_attach", VOID, (TEXT, TEXT)), ("hwal_subscribe", VOID, (VOID, TEXT, VOID)),
                                ("hwal_next", c.c_int, (VOID, c.POINTER(Message))), ("hwal_again", c.c_int, (VOID,)),
                                ("hwal_error", TEXT, ()), ("hwal_type_name", TEXT, (U32,))):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments


def camel(name):  # BOOK_UPDATE -> BookUpdate
    return "".join(word.capitalize() for word in name.split("_"))


def snake(name):  # InstrumentId -> instrument_id
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def fields(thing):
    """Every field of a FlatBuffers struct: the generated class has a method for each."""
    names = [n for n in vars(type(thing)) if n[0].isupper() and n not in ("SizeOf", "Init")]
    return {snake(n): getattr(thing, n)() for n in names}


def decode(type_name, raw):
    """A message is a table with one struct, `body`, and at most one vector or string."""
    table_class = getattr(importlib.import_module(f"hwal.{type_name}Msg"), f"{type_name}Msg")
    table, out = table_class.GetRootAs(raw, 0), {}
    for name in vars(table_class):
        if name == "Body":
            out["body"] = fields(table.Body())
        elif name.endswith("Length"):
            vector = name[:-len("Length")]
            out[snake(vector)] = [fields(getattr(table, vector)(i)) for i in range(getattr(table, name)())]
        elif name in ("Symbol", "Text"):
            out[snake(name)] = getattr(table, name)().decode()
    return out


def main():
    ring, count, instance = (sys.argv[1:] + [None] * 3)[:3]
    if count and not count.isdecimal():
        sys.exit(f'tail.py: "{count}" is not a number')
    left = int(count) if count else -1
    sys.path.insert(0, ".")  # where flatc put the package hwal
    engine = lib.hwal_attach(instance.encode() if instance else None, None)
    sub = engine and lib.hwal_subscribe(engine, (ring or "ev").encode(), None)
    if not sub:
        sys.exit(f"tail.py: {lib.hwal_error().decode()}")
    m = Message()
    while left != 0:
        answer = lib.hwal_next(sub, m)
        if answer == OK:
            name = lib.hwal_type_name(m.type).decode()
            print(m.seq, name, json.dumps(decode(camel(name), c.string_at(m.raw, m.raw_len))))
            left -= 1
        elif answer in (GAP, RESTART):
            print(f"lost {m.lost_to + 1 - m.lost_from}")
        elif answer == EMPTY and not lib.hwal_again(engine):
            time.sleep(0.01)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
