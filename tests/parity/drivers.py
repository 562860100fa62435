#!/usr/bin/env python3
"""The names of all drivers that this interpreter's pdudaemon has, in small letters, as a list in JSON.

A driver is chosen by asking each class whether it accepts a name. Which names these are is found by
asking for every text that stands in the classes' files, and for the classes' own names.
"""

import importlib
import inspect
import json
import pathlib
import types

from pdudaemon.drivers import driver


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, types.CodeType):
        for constant in value.co_consts:
            yield from texts(constant)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


def below(parent):
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


for path in pathlib.Path(driver.__file__).parent.glob("*.py"):
    if not path.stem.startswith(("test_", "__")):
        importlib.import_module(f"pdudaemon.drivers.{path.stem}")
names = set()
for kind in set(below(driver.PDUDriver)):
    path = inspect.getfile(kind)
    words = set(texts(compile(pathlib.Path(path).read_text(encoding="utf-8"), path, "exec")))
    words |= {kind.__name__, kind.__name__.lower(), kind.__name__.upper()}
    # A class that others only build upon accepts its own name too.
    if not kind.__name__.endswith("Base"):
        names |= {word.lower() for word in words if kind.accepts(word)}
print(json.dumps(sorted(names)))
