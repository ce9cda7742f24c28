"""Engines for foreign_test.cpp: each does one thing wrong, at its third commit or when it is killed.

odd_engine.py HOW: sound, crash, hang, garbage, no-id, wrong-word, forgets (a log that is written too late),
no-ticket (declares one and has none).
"""
import json
import os
import sys
import time

how = sys.argv[1]
engines, commits = {}, 0


class Engine:
    def __init__(self, directory):
        self.version, self.values, self.changed, self.late = 0, {}, {}, []
        self.log = os.path.join(directory, "log") if directory else None
        if self.log and os.path.exists(self.log):
            with open(self.log) as log:
                for line in log:
                    if line.endswith("\n"):
                        self.install(json.loads(line))

    def install(self, writes):
        self.version += 1
        for path, value in writes:
            self.values[path], self.changed[path] = value, self.version

    def remember(self, writes):
        self.late.append(json.dumps(writes) + "\n")
        if how == "forgets" and len(self.late) < 5:
            return
        with open(self.log, "a") as log:
            log.write("".join(self.late))
        self.late = []

    def commit(self, expected, writes):
        if not writes:
            return {"committed": expected}
        for path, _ in writes:
            if self.changed.get(path, 0) > expected:
                return {"conflict": path, "found": self.changed[path]}
        if self.log:
            self.remember(writes)
        self.install(writes)
        return {"committed": self.version}


def misbehave():
    if how == "crash":
        sys.stderr.write("odd_engine: out of ideas\n")
        sys.stderr.flush()
        os._exit(3)
    if how == "hang":
        time.sleep(1000)
    if how == "garbage":
        return "not JSON at all\n"
    if how == "no-id":
        return '{"committed": 1}\n'
    return None


for line in sys.stdin:
    asked = json.loads(line)
    op, answer = asked["op"], {}
    if op == "hello":
        answer = {"protocol": 1, "name": "odd", "can": ["snapshots", "erase", "durable"], "patience_ms": 1000}
        if how == "no-ticket":
            answer["can"].append("ticket")
    elif op == "open":
        engines[asked["engine"]] = Engine(asked.get("directory"))
    elif op != "close":
        engine = engines[asked["engine"]]
        if op == "version":
            answer = {"version": engine.version}
        elif op == "read":
            answer = {"value": engine.values.get(asked["path"])}
        elif op == "snapshot":
            answer = {"version": engine.version, "values": [engine.values.get(path) for path in asked["paths"]]}
        elif op == "commit":
            commits += 1
            answer = engine.commit(asked["expected"], asked["writes"])
            if commits == 3 and how == "wrong-word":
                answer = {"done": True}
            if commits == 3 and (text := misbehave()):
                sys.stdout.write(text)
    sys.stdout.write(json.dumps({"id": asked["id"], **answer}) + "\n")
    sys.stdout.flush()
