"""compare.py WRITER.fbs READER.fbs READ EXPECTED...: every line of READ (one record as a FlatBuffers library shows it) says
what the line of EXPECTED with its sequence says ({"seq", "type", "message"}, as `hwal tail --json` prints), field for field,
64 bits exact, as far as the reader's schema knows the fields. Names may be camelCase; enums names or numbers; what is absent
is its default. A type that the reader does not know must be told as a number, without a value."""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from interop import schema


def flat(key):
    return key.replace("_", "").lower()


def number(names, value):
    """An enum's value, given as number or by name(s)."""
    if isinstance(value, str):
        return sum(dict(names)[n] for n in value.split()) if value else 0
    return value


def norm(kind, value, s):
    """Value by the types of a schema, in one spelling; unknown members are dropped."""
    enums, structs, tables, unions = s
    if kind in enums:
        return number(enums[kind][1], value or 0)
    if kind == "string":
        return value
    if kind.startswith("["):
        return [norm(kind[1:-1], v, s) for v in value or []]
    if kind in structs or kind in tables:
        if value is None:
            return None
        given = {flat(k): v for k, v in value.items()}
        return {flat(n): norm(k, given.get(flat(n)), s) for n, k in structs.get(kind) or tables[kind]}
    return value or 0


def main():
    writer, reader = schema(sys.argv[1]), schema(sys.argv[2])
    types = {name: (i + 1, table) for i, (name, table) in enumerate(writer[3]["Message"])}
    known = dict(reader[3]["Message"])
    expected, fields, count = {}, 0, 0
    for path in sys.argv[4:]:
        for line in open(path):
            d = json.loads(line)
            if "seq" in d:
                expected[d["seq"]] = d
    for line in open(sys.argv[3]):
        got = {flat(k): v for k, v in json.loads(line).items()}
        want = expected.get(got.get("sequence") or 0)
        if want is None:
            sys.exit(f"sequence {got.get('sequence')} is in none of the expected files")
        value, table = types[want["type"]]
        told = number([(n, i + 1) for i, (n, _) in enumerate(reader[3]["Message"])], got["msgtype"])
        if told != value:
            sys.exit(f"{want['seq']}: type {got['msgtype']}, must be {want['type']} ({value})")
        count += 1
        if want["type"] not in known:
            if got.get("msg") is not None:
                sys.exit(f"{want['seq']}: a value of an unknown type: {got['msg']}")
            continue
        # by the writer's enums first: the reader may not know the name of a value
        a = norm(table, norm(table, want["message"], writer), reader)
        b = norm(table, got["msg"], reader)
        if a != b:
            sys.exit(f"{want['seq']} {want['type']}: differs\n  {json.dumps(a)}\n  {json.dumps(b)}")
        fields += json.dumps(a).count('":')
    if count == 0:
        sys.exit(f"{sys.argv[3]}: nothing read")
    print(f"{count} messages, {fields} fields")


main()
