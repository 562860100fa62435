"""Renders templates with the Jinja2 that LAVA's server uses, for comparison.

Reads a JSON list of {"templates": {name: text}, "main": name, "context": {}} and prints a JSON list
of {"text": …} or {"error": …}, in the same order.
"""

import json
import shlex
import sys

import jinja2.sandbox
import yaml


def qemu_guest_fs_interface(arch, override):
    if override:
        return override
    return "ide" if arch in ("amd64", "x86_64", "i386") else "virtio"


def yaml_quote(value):
    return yaml.safe_dump(
        value, default_style='"', default_flow_style=True, width=float("inf")
    ).strip()


def render(case):
    environment = jinja2.sandbox.SandboxedEnvironment(
        loader=jinja2.DictLoader(case["templates"]), autoescape=False, trim_blocks=True
    )
    environment.filters["shlex_quote"] = shlex.quote
    environment.filters["yaml_quote"] = yaml_quote
    environment.filters["qemu_guest_fs_interface"] = qemu_guest_fs_interface
    try:
        return {"text": environment.get_template(case["main"]).render(case["context"])}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([render(case) for case in json.load(sys.stdin)], sys.stdout)
