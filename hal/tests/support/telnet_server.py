"""A telnet server made of Python's telnetlib: sends back what it understood as typed, and prints
each command that is no part of it. Prints its port first. Ends with its first client."""

import socket
import telnetlib

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
telnet = telnetlib.Telnet()
telnet.sock = connection


def command(connection, verb, option):
    if verb in (telnetlib.DO, telnetlib.WILL):
        refusal = telnetlib.WONT if verb == telnetlib.DO else telnetlib.DONT
        connection.sendall(telnetlib.IAC + refusal + option)
    elif verb == telnetlib.BRK:
        print("break", flush=True)
        connection.sendall(b"got BREAK")


telnet.set_option_negotiation_callback(command)
while True:
    try:
        typed = telnet.read_some()
    except ConnectionError:
        break
    if not typed:
        break
    connection.sendall(typed.replace(b"\xff", b"\xff\xff").replace(b"\r", b"\r\0"))
