"""An RFC 2217 server by pyserial in front of pyserial's loop:// port: what is typed comes back, RTS
is connected to CTS and DTR to DSR. Prints its port, then each BREAK. Ends with its first client."""

import socket
import sys
import time

import serial
import serial.rfc2217

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
port = serial.serial_for_url("loop://", timeout=0)


class Connection:
    def write(self, data):
        connection.sendall(data)


manager = serial.rfc2217.PortManager(port, Connection())
in_break = False
connection.settimeout(0.005)
while True:
    try:
        received = connection.recv(1024)
        if not received:
            sys.exit()
        port.write(b"".join(manager.filter(received)))
    except TimeoutError:
        pass
    if port.break_condition != in_break:
        in_break = port.break_condition
        print("break", "begins" if in_break else "ends", time.monotonic(), flush=True)
    waiting = port.read(port.in_waiting or 1)
    if waiting:
        connection.sendall(b"".join(manager.escape(waiting)))
    manager.check_modem_lines()
