"""interop.py make FBS DIR COUNT SEED: random JSON for every table, from the text of the schema (its own small reader of
it, so that nothing is shared with the generator): DIR/Table.N.json.
interop.py same A_END B_END DIR: for every DIR/*A_END there is a *B_END that says the same, field for field."""
import glob, json, random, re, sys

RANGE = {"byte": (-2**7, 2**7 - 1), "ubyte": (0, 2**8 - 1), "short": (-2**15, 2**15 - 1), "ushort": (0, 2**16 - 1),
         "int": (-2**31, 2**31 - 1), "uint": (0, 2**32 - 1), "long": (-2**63, 2**63 - 1), "ulong": (0, 2**64 - 1)}


def schema(path):
    text = re.sub(r"//[^\n]*", "", open(path).read())
    enums, structs, tables, unions = {}, {}, {}, {}
    for kind, name, base, attrs, body in re.findall(
            r"\b(enum|struct|table|union)\s+(\w+)\s*(?::\s*(\w+))?\s*(\([^)]*\))?\s*\{([^}]*)\}", text):
        if kind == "enum":
            value, names = -1, []
            for item in filter(None, (i.strip() for i in body.split(","))):
                key, _, given = (p.strip() for p in item.partition("="))
                value = int(given) if given else value + 1
                names.append((key, 1 << value if "bit_flags" in attrs else value))
            enums[name] = (base, names, "bit_flags" in attrs)
        elif kind == "union":
            unions[name] = re.findall(r"(\w+)\s*:\s*(\w+)", body)
        else:
            fields = [(n, k) for n, k, rest in re.findall(r"(\w+)\s*:\s*(\[?\w+\]?)([^;]*);", body)
                      if "deprecated" not in rest]
            (structs if kind == "struct" else tables)[name] = fields
    return enums, structs, tables, unions


def value_of(rng, kind, s):
    enums, structs, tables, unions = s
    if kind in RANGE:
        low, high = RANGE[kind]
        return rng.choice([low, high, 0, 1, rng.randint(low, high), rng.randint(low, high)])
    if kind in enums:
        base, names, flags = enums[kind]
        if flags:
            return " ".join(n for n, _ in names if rng.random() < .5) or 0
        known = {v: n for n, v in names}
        number = value_of(rng, base, s)
        return rng.choice(names)[0] if rng.random() < .8 else known.get(number, number)
    if kind == "string":
        return "".join(rng.choice("ABC09-_\"\\/\n\t\x01\u00e9\ud55c\U0001f3f9 ") for _ in range(rng.randint(0, 20)))
    if kind.startswith("["):
        return [value_of(rng, kind[1:-1], s) for _ in range(rng.choice([0, 1, 2, 64]))]
    if kind in structs:
        return {n: value_of(rng, k, s) for n, k in structs[kind]}
    out = {}
    for name, field in tables[kind]:
        if field in unions:
            member, table = rng.choice(unions[field])
            out[name + "_type"], out[name] = member, value_of(rng, table, s)
        else:
            out[name] = value_of(rng, field, s)
    return out


def main():
    if sys.argv[1] == "make":
        s, rng = schema(sys.argv[2]), random.Random(int(sys.argv[5], 0))
        for table in s[2]:
            for n in range(int(sys.argv[4])):
                with open(f"{sys.argv[3]}/{table}.{n}.json", "w") as f:
                    json.dump(value_of(rng, table, s), f)
        return
    a_end, b_end, folder = sys.argv[2:5]
    fields, files = 0, sorted(glob.glob(f"{folder}/*{a_end}"))
    for path in files:
        a = json.load(open(path))
        b = json.load(open(path[: -len(a_end)] + b_end))
        if a != b:
            sys.exit(f"{path}: differs from {b_end}:\n  {json.dumps(a)}\n  {json.dumps(b)}")
        fields += json.dumps(a).count('":')
    if not files:
        sys.exit(f"{folder}: no *{a_end}")
    print(f"{len(files)} buffers, {fields} fields: {a_end} = {b_end}")


if __name__ == "__main__":
    main()
