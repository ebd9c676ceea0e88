#!/usr/bin/env python3
"""A client of the bridge that knows nothing of kefu but its schemas (client-frame.json, server-frame.json).

Follows what happens, from the beginning of the log to the commit whose event `noted` has the text --until, and keeps of each
conversation what it needs to say in which state it is. Sockets are cut on purpose, and every time it comes back with what it
has; whichever of the --url it reaches.

  --cut none     one connection, unless it is lost
  --cut every:N  the connection is cut after each N commits
  --cut each     for every I: cut once, after the I-th commit, and then to the end; all final states must be the same

Prints one JSON object: {"commits", "connections", "resets", "duplicates", "gaps", "state"}. `gaps` counts frames whose `prev`
is not the `seq` that came before. Exit code 1 if anything was missed or came twice.
"""

import argparse
import asyncio
import json
import sys

import websockets


class Follower:
    """What one client has: its place in the log, and the state of all that it sees."""

    def __init__(self):
        self.epoch = None
        self.last_seq = 0
        self.last_commit = None
        self.state = {}
        self.commits = 0
        self.duplicates = 0
        self.gaps = 0
        self.connections = 0
        self.resets = 0
        self.done = False

    def resume(self):
        frame = {"type": "resume", "last_seq": self.last_seq}
        if self.epoch:
            frame["epoch"] = self.epoch
        if self.last_commit:
            frame["last_commit"] = self.last_commit
        return frame

    def take(self, frame, until):
        kind = frame["type"]
        if kind in ("hello", "reset"):
            self.epoch, self.last_seq = frame["epoch"], frame["seq"]
            if kind == "reset":
                self.resets += 1
                self.state = {}
        elif kind in ("commit", "heartbeat"):
            if frame["prev"] != self.last_seq:
                self.gaps += 1
            self.last_seq = frame["seq"]
            if kind == "commit":
                self.fold(frame["seq"], frame["commit"], until)
        elif kind == "error":
            raise ConnectionError(f"{frame['code']}: {frame['message']}")

    def fold(self, seq, commit, until):
        self.commits += 1
        self.last_commit = {"seq": seq, "id": commit["commit_id"]}
        if commit["aggregate"] != "conversation":
            return
        known = self.state.setdefault(commit["key"], {"version": 0, "messages": 0, "events": [], "agent": None})
        if commit["version"] <= known["version"]:
            self.duplicates += 1
            return
        known["version"] = commit["version"]
        for event in commit["events"]:
            known["events"].append(event["type"])
            if event["type"] in ("message_received", "message_sent"):
                known["messages"] += 1
            if event["type"] in ("offer_accepted", "taken_over"):
                known["agent"] = event["agent"]
            if event["type"] == "noted" and event["text"] == until:
                self.done = True

    async def connect(self, url, token, until, cut_after):
        """One connection: to the end, or to the cut."""
        headers = {"Authorization": f"Bearer {token}"}
        self.connections += 1
        async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
            await socket.send(json.dumps(self.resume()))
            taken = 0
            while not self.done and (cut_after is None or taken < cut_after):
                before = self.commits
                self.take(json.loads(await socket.recv()), until)
                taken += self.commits - before
            # As a lost network would: no word of goodbye.
            socket.transport.abort()

    async def follow(self, urls, token, until, cuts):
        """Comes back until it has all; `cuts` says after how many commits each connection is cut."""
        attempt = 0
        while not self.done:
            url = urls[attempt % len(urls)]
            cut_after = cuts(attempt)
            attempt += 1
            try:
                await self.connect(url, token, until, cut_after)
            except (OSError, ConnectionError, websockets.exceptions.WebSocketException) as error:
                print(f"connection {attempt}: {error!r}", file=sys.stderr)
                await asyncio.sleep(0.1)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", action="append", required=True, help="ws://…/api/v1/socket; each connection takes the next one")
    parser.add_argument("--token", required=True)
    parser.add_argument("--until", required=True, metavar="TEXT")
    parser.add_argument("--cut", default="none")
    asked = parser.parse_args()
    follower = Follower()
    same = True
    if asked.cut == "each":
        await follower.follow(asked.url, asked.token, asked.until, lambda _: None)
        wrong = 0
        for index in range(follower.commits):
            other = Follower()
            await other.follow(asked.url, asked.token, asked.until, lambda attempt: index if attempt == 0 else None)
            other_is_same = other.state == follower.state and other.commits == follower.commits
            wrong += not other_is_same
            follower.connections += other.connections
            follower.gaps += other.gaps
            follower.duplicates += other.duplicates
        same = wrong == 0
    else:
        every = int(asked.cut.removeprefix("every:")) if asked.cut != "none" else None
        await follower.follow(asked.url, asked.token, asked.until, lambda _: every)
    figures = ("commits", "connections", "resets", "duplicates", "gaps", "state")
    print(json.dumps({**{name: getattr(follower, name) for name in figures}, "same": same}))
    sys.exit(0 if same and not follower.gaps and not follower.duplicates and not follower.resets else 1)


asyncio.run(main())
