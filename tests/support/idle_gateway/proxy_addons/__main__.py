"""Says over the control socket that it is ready, and holds its listening sockets until it is ended."""

import json
import os
import socket
import time

while True:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ["STORES_CONTROL"])
            connection.sendall(json.dumps({"verb": "watch", "as": "gateway"}).encode() + b"\n" + b'{"ready": true}\n')
            while connection.recv(65536):
                pass
    except OSError:
        time.sleep(0.05)
