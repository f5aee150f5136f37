#!/usr/bin/env python3
"""schema.py SCHEMA FILE...: is each FILE (JSON, or with --lines each line of it) what SCHEMA says?

The part of JSON Schema that docs/schema uses: type, properties, required, additionalProperties, items, enum, const,
pattern, minimum, maximum, oneOf. A keyword that it does not know is an error, so that no rule is passed over."""

import json
import re
import sys

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
KNOWN = {"$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", "items",
         "enum", "const", "pattern", "minimum", "maximum", "oneOf"}


def faults(schema, value, at="$"):
    unknown = set(schema) - KNOWN
    if unknown:
        yield f"{at}: the schema uses {sorted(unknown)}, which this validator does not know"
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(TYPES[t](value) for t in types):
        yield f"{at}: {json.dumps(value)[:60]} is no {' or '.join(types)}"
        return
    if value is None and "null" in types:
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: {value} is below {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{at}: {value} is above {schema['maximum']}"
    if "oneOf" in schema:
        ways = [list(faults(one, value, at)) for one in schema["oneOf"]]
        if sum(not w for w in ways) != 1:
            yield f"{at}: fits {sum(not w for w in ways)} of the {len(ways)} ways: {[w[0] for w in ways if w]}"
    if isinstance(value, dict):
        for key in schema.get("required", []):
            if key not in value:
                yield f"{at}: no {key}"
        more = schema.get("additionalProperties", True)
        for key, child in value.items():
            if key in schema.get("properties", {}):
                yield from faults(schema["properties"][key], child, f"{at}.{key}")
            elif isinstance(more, dict):
                yield from faults(more, child, f"{at}.{key}")
            elif not more:
                yield f"{at}: unexpected {key}"
    if isinstance(value, list) and "items" in schema:
        for i, child in enumerate(value):
            yield from faults(schema["items"], child, f"{at}[{i}]")


def main(argv):
    lines = "--lines" in argv
    names = [a for a in argv if a != "--lines"]
    with open(names[0], encoding="utf-8") as f:
        schema = json.load(f)
    found = 0
    for name in names[1:]:
        with open(name, encoding="utf-8") as f:
            text = f.read()
        for number, one in enumerate(text.splitlines() if lines else [text]):
            for fault in faults(schema, json.loads(one)):
                print(f"{name}{f':{number + 1}' if lines else ''}: {fault}")
                found += 1
                if found == 10:
                    return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
