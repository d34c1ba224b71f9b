"""Signed callbacks, as fast as a few connections go: load.py PORT PATH SECRET SECONDS
CONNECTIONS. Prints one JSON object: answers by status, the slowest in seconds, refused
connections and answers that broke off. A broken connection is made again."""
import hashlib
import hmac
import http.client
import json
import sys
import threading
import time

port, path, secret, seconds, connections = sys.argv[1:]
end = time.monotonic() + float(seconds)
lock = threading.Lock()
result = {"answers": {}, "slowest": 0.0, "refused": 0, "broken": 0}


def one(worker):
    connection = None
    n = 0
    while time.monotonic() < end:
        n += 1
        body = json.dumps({"id": f"load-{worker}-{n}", "status": "completed"}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        started = time.monotonic()
        status = None
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
            connection.request("POST", path, body, {"X-Signature": "sha256=" + signature})
            answer = connection.getresponse()
            answer.read()
            status = str(answer.status)
        except ConnectionRefusedError:
            with lock:
                result["refused"] += 1
            connection = None
            time.sleep(0.05)
        except (OSError, http.client.HTTPException):
            with lock:
                result["broken"] += 1
            connection.close()
            connection = None
        if status:
            with lock:
                result["answers"][status] = result["answers"].get(status, 0) + 1
                result["slowest"] = max(result["slowest"], time.monotonic() - started)


threads = [threading.Thread(target=one, args=(i,)) for i in range(int(connections))]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(json.dumps(result))
