#!/usr/bin/env python3
"""Sends the bridge what no client should: frames that are changed at random, cut, nested deeply, of the wrong kind, too large.

After each connection that the server ends, it connects again. At the end it asks whether an ordinary client is still served.
Prints {"frames", "connections", "answers"}; exit code 1 if the server is gone, or did not refuse a frame that is too large.
"""

import argparse
import asyncio
import json
import random
import sys

import websockets

FRAMES = [
    {"type": "resume", "last_seq": 0},
    {"type": "command", "id": "c1", "aggregate": "conversation", "key": "0" * 32, "command": {"type": "close", "v": 1}},
    {"type": "command", "id": "c2", "aggregate": "agent", "key": "anna", "command": {"type": "set_status", "status": "away"}},
    {"type": "typing", "conversation": "0" * 32, "on": True},
    {"type": "watch", "conversation": "0" * 32},
    {"type": "ping"},
]
ODD = [None, True, -1, 1e308, 2**63, "", "\u0000", "../..", "'; --", "客" * 300, [], {}, [[]], {"$ref": "#"}, "\ud83d\ude00"]


def mutated(rng):
    kind = rng.randrange(6)
    frame = json.loads(json.dumps(rng.choice(FRAMES)))
    if kind == 0:
        frame[rng.choice(list(frame))] = rng.choice(ODD)
    elif kind == 1:
        frame.pop(rng.choice(list(frame)))
    elif kind == 2:
        text = json.dumps(frame)
        return text[: rng.randrange(len(text))]
    elif kind == 3:
        text = list(json.dumps(frame))
        for _ in range(rng.randrange(1, 6)):
            text[rng.randrange(len(text))] = chr(rng.choice([0, 34, 92, 123, 125, 0x4E2D, rng.randrange(32, 127)]))
        return "".join(text)
    elif kind == 4:
        return "[" * rng.randrange(1, 5000)
    elif kind == 5:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    return json.dumps(frame)


async def greet(url, token):
    socket = await websockets.connect(url, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None)
    await socket.send('{"type":"resume"}')
    reset = json.loads(await asyncio.wait_for(socket.recv(), 60))
    assert reset["type"] == "reset", reset
    return socket


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    sent = connections = answers = 0
    while sent < asked.frames:
        connections += 1
        # Half of the connections begin as they should; the others with anything.
        if rng.random() < 0.8:
            socket = await greet(asked.url, asked.token)
        else:
            headers = {"Authorization": f"Bearer {asked.token}"}
            socket = await websockets.connect(asked.url, additional_headers=headers, max_size=None)
        try:
            for _ in range(min(400, asked.frames - sent)):
                await socket.send(mutated(rng))
                sent += 1
            await socket.send('{"type":"ping"}')
            while json.loads(await asyncio.wait_for(socket.recv(), 60))["type"] != "heartbeat":
                answers += 1
        except websockets.exceptions.ConnectionClosed:
            pass
        await socket.close()
    socket = await greet(asked.url, asked.token)
    try:
        await socket.send("x" * (1 << 20))
        while True:
            await asyncio.wait_for(socket.recv(), 60)
    except websockets.exceptions.ConnectionClosed:
        pass
    await (await greet(asked.url, asked.token)).close()
    print(json.dumps({"frames": sent, "connections": connections, "answers": answers}))


try:
    asyncio.run(main())
except (OSError, AssertionError, asyncio.TimeoutError) as error:
    print(repr(error), file=sys.stderr)
    sys.exit(1)
