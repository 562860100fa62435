"""Answers what PyYAML makes of a text or a value, one request a line.

    load HEX-OF-BYTES        ->  ok CANONICAL-FORM | error MESSAGE | recursive
    text HEX-OF-UTF-8        ->  the same for a str instead of bytes
    all HEX-OF-UTF-8         ->  the same for all documents of a stream, as a list
    time HEX-OF-UTF-8        ->  seconds that a load takes, the best of some
    dump OPTIONS HEX-OF-EXPR ->  HEX-OF-TEXT, for a Python expression
"""

import binascii
import datetime
import json
import struct
import sys
import time

import yaml


def canonical(value, parents=()):
    if id(value) in parents:
        raise RecursionError
    if isinstance(value, (list, tuple, dict, set)):
        parents += (id(value),)
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, float):
        if value != value:
            return "float:nan"
        return "float:" + struct.pack(">d", value).hex()
    if isinstance(value, bytes):
        return "binary:" + value.hex()
    if isinstance(value, datetime.datetime):
        return "time:" + json.dumps(value.isoformat(" "))
    if isinstance(value, datetime.date):
        return "time:" + json.dumps(value.isoformat())
    if isinstance(value, set):
        return "set{" + ", ".join(sorted(canonical(item, parents) for item in value)) + "}"
    if isinstance(value, dict):
        pairs = [canonical(k, parents) + ": " + canonical(v, parents) for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(canonical(item, parents) for item in value) + "]"


def load(text, everything=False):
    try:
        if everything:
            value = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        else:
            value = yaml.load(text, Loader=yaml.CSafeLoader)
    except Exception as error:  # PyYAML lets ValueError and others through
        return "error " + " ".join(str(error).split())
    try:
        return "ok " + canonical(value)
    except RecursionError:
        return "recursive"


def best_time(text):
    best = float("inf")
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.5:
        start = time.perf_counter()
        yaml.load(text, Loader=yaml.CSafeLoader)
        best = min(best, time.perf_counter() - start)
    return repr(best)


def main():
    for line in sys.stdin:
        request, *arguments = line.split()
        payload = binascii.unhexlify(arguments.pop()) if arguments else b""
        if request == "load":
            answer = load(payload)
        elif request == "text":
            answer = load(payload.decode())
        elif request == "all":
            answer = load(payload.decode(), everything=True)
        elif request == "time":
            answer = best_time(payload.decode())
        else:
            options = json.loads(arguments[0])
            value = eval(payload.decode(), {"datetime": datetime})
            answer = yaml.dump(value, Dumper=yaml.CSafeDumper, **options).encode().hex()
        print(answer, flush=True)


main()
