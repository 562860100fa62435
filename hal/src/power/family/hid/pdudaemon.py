"""Drives a driver of pdudaemon with stand-ins for its USB libraries, and prints what it sends.

usage: pdudaemon.py MODULE DRIVER SERIAL PORTS
"""
import importlib
import inspect
import sys
import types

module, driver, serial, ports = sys.argv[1:5]


class Device:
    iProduct = 2

    def write(self, report):
        print("write", " ".join("%02x" % byte for byte in report))
        return len(report)

    def read(self, *_):
        return [1] + [0] * 63

    def ctrl_transfer(self, kind, request, value, index, data, *_):
        if kind & 0x80:  # an answer that has the serial number
            return Bytes(serial.encode() + bytes(3))
        shown = " ".join("%02x" % byte for byte in data)
        print("control %02x %02x value %04x index %04x data %s" % (kind, request, value, index, shown))
        return len(data)

    def __getattr__(self, name):
        return lambda *_, **__: None


class Bytes(bytes):
    def tobytes(self):
        return bytes(self)

    def __getitem__(self, index):
        got = super().__getitem__(index)
        return Bytes(got) if isinstance(index, slice) else got


def find(**wanted):
    # Each family is looked for by several ids: there is one device.
    return [Device()] if wanted.get("idProduct") in (0x05DF, 0xFD13) else []


hid, usb, core, util = (types.ModuleType(name) for name in ("hid", "usb", "usb.core", "usb.util"))
hid.device = Device
core.find = find
util.get_string = lambda *_: "USBRelay8"
usb.core, usb.util = core, util
for stand_in in (hid, usb, core, util):
    sys.modules[stand_in.__name__] = stand_in

found = importlib.import_module("pdudaemon.drivers." + module)
for _, kind in inspect.getmembers(found, inspect.isclass):
    if kind.__module__ == found.__name__ and kind.accepts(driver):
        # The Energenie driver calls what the device says of itself in hexadecimal its id.
        device = ":".join("%02x" % byte for byte in serial.encode() + bytes(3))
        pdu = kind("host", {"driver": driver, "serial": serial, "device": device})
        for port in range(1, int(ports) + 1):
            for command in ("on", "off"):
                pdu.port_interaction(command, port)
