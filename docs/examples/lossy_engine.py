"""An engine for `touchstone verify --engine 'python3 docs/examples/lossy_engine.py'`: registers in a dictionary.

Its commits look at the versions first and write afterwards, with nothing that keeps another client's commit out in
between: a lost update. One client alone never sees it. With --sound a lock covers both, and every claim holds.
"""
import contextlib
import json
import queue
import sys
import threading
import time


class Engine:
    def __init__(self, sound):
        self.version, self.values, self.changed = 0, {}, {}
        self.lock = threading.Lock()
        self.whole_commit = threading.Lock() if sound else contextlib.nullcontext()

    def snapshot(self, paths):
        with self.lock:
            return {"version": self.version, "values": [self.values.get(path) for path in paths]}

    def commit(self, expected, writes):
        if not writes:
            return {"committed": expected}
        with self.whole_commit:
            for path, _ in writes:
                if self.changed.get(path, 0) > expected:
                    return {"conflict": path, "found": self.changed[path]}
            time.sleep(0)  # the planted bug, without --sound: here another commit may come in
            with self.lock:
                self.version += 1
                for path, value in writes:
                    self.values[path], self.changed[path] = value, self.version
                return {"committed": self.version}


def answer(engine, request):
    op = request["op"]
    if op == "read":
        return {"value": engine.snapshot([request["path"]])["values"][0]}
    if op == "version":
        return {"version": engine.version}
    if op == "snapshot":
        return engine.snapshot(request["paths"])
    if op == "commit":
        return engine.commit(request["expected"], request["writes"])
    return {"error": "unknown op " + op}


def say(request, words):
    with output:
        print(json.dumps({"id": request["id"], **words}), flush=True)


def serve(requests):
    """One thread for each client, so that clients meet."""
    for request in iter(requests.get, None):
        say(request, answer(engines[request["engine"]], request))


output, engines, clients = threading.Lock(), {}, {}
for line in sys.stdin:
    asked = json.loads(line)
    if asked["op"] == "hello":
        say(asked, {"protocol": 1, "name": "lossy", "can": ["snapshots", "erase"]})
    elif asked["op"] == "open":
        engines[asked["engine"]] = Engine("--sound" in sys.argv)
        say(asked, {})
    elif asked["op"] == "close":
        say(asked, {})
    else:
        if asked["client"] not in clients:
            clients[asked["client"]] = queue.SimpleQueue()
            threading.Thread(target=serve, args=(clients[asked["client"]],), daemon=True).start()
        clients[asked["client"]].put(asked)
