"""Lets pdudaemon's driver of one model switch one outlet.

Usage: pdudaemon.py MODULE MODEL SETTINGS COMMANDS OUTLET: settings as JSON, commands with commas. Ends with 3
when pdudaemon, or something that this driver needs, is not installed.
"""

import importlib
import json
import shutil
import sys

module, model, settings, commands, outlet = sys.argv[1:]
settings = json.loads(settings)
try:
    importlib.import_module("pdudaemon.drivers." + module)
    from pdudaemon.drivers.driver import PDUDriver
except ImportError as error:
    print(error)
    sys.exit(3)
if "telnetport" in settings and not shutil.which("/usr/bin/telnet"):
    print("/usr/bin/telnet is missing")
    sys.exit(3)


def below(parent):
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


driver = next(one for one in below(PDUDriver) if one.accepts(model))
for command in commands.split(","):
    pdu = driver(settings["hostname"], settings)
    pdu.port_interaction(command, int(outlet))
    pdu._cleanup()
