#!/usr/bin/env python3
"""Lets labgrid's PDUDaemonDriver switch an outlet. Usage: drive_labgrid.py HOST PDU OUTLET WORD...

Each word is on, off or cycle. Ends with 22, as curl does, when an answer is an error.
"""

import sys

import requests

from labgrid import Target
from labgrid.driver import PDUDaemonDriver
from labgrid.resource.power import PDUDaemonPort

host, pdu, outlet, *words = sys.argv[1:]
target = Target("board")
PDUDaemonPort(target, name=None, host=host, pdu=pdu, index=outlet)
driver = PDUDaemonDriver(target, name=None, delay=0.0)
target.activate(driver)
for word in words:
    try:
        getattr(driver, word)()
    except requests.HTTPError as error:
        print(error)
        sys.exit(22)
