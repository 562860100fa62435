"""A Modbus server with 40 coils on a port of its own, for power_frames.rs.

Usage: modbus_server.py socket|rtu. Prints "coils at N" and a line with a dot once it listens, or the
dot alone when pymodbus is missing. Knows pymodbus 3.0 (Debian 12) and 3.16 (PyPI).
"""

import asyncio
import sys

try:
    import pymodbus.datastore as datastore
    import pymodbus.server as server
except ImportError as error:
    print(error, "", ".", sep="\n", flush=True)
    sys.exit(1)


def context():
    block = datastore.ModbusSequentialDataBlock(1, [0] * 40)
    try:
        device = datastore.ModbusDeviceContext(co=block)
        return datastore.ModbusServerContext(devices=device, single=True)
    except AttributeError:
        device = datastore.ModbusSlaveContext(co=block)
        return datastore.ModbusServerContext(slaves=device, single=True)


def framer(name):
    try:
        from pymodbus import FramerType

        return FramerType(name)
    except ImportError:
        from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

        return {"rtu": ModbusRtuFramer, "socket": ModbusSocketFramer}[name]


async def main():
    listen = getattr(server, "ModbusTcpServer", None) or server.async_io.ModbusTcpServer
    tcp = listen(context(), framer=framer(sys.argv[1]), address=("127.0.0.1", 0))
    serving = asyncio.ensure_future(tcp.serve_forever())
    while True:
        await asyncio.sleep(0.02)
        listener = getattr(tcp, "transport", None) or getattr(tcp, "server", None)
        sockets = getattr(listener, "sockets", None)
        if sockets:
            break
    print("coils at", sockets[0].getsockname()[1], flush=True)
    print(".", flush=True)
    await serving


asyncio.run(main())
