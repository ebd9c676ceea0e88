#!/usr/bin/env python3
"""A channel adapter that knows nothing of kefu but its public contract: JSON on NATS subjects.

Publishes what customers say in two sets of real dialogues, and reads the replies, until nothing more comes:

- every customer turn of dialog/star_en.dev.jsonl, repeated under new thread ids until there are --messages of them
- every customer turn of dialog/crosswoz_zh.dev.jsonl, once (unless --without-crosswoz)

Each thread's messages are published one after the other, each as soon as the one before is acknowledged; many threads
at once. A message that is not acknowledged is published again, unchanged and under the same message id, until it is, so
that the adapter survives the death of kefu and of nats-server. Replies are read with a durable pull consumer that must
exist, acknowledged once they are noted down, and told apart by their id.

--out gets one JSON object per line:

  {"record": "published", "thread", "key", "id", "msg_id", "order", "seq", "duplicate", "attempts", "body"}
  {"record": "received", "id", "thread", "key", "session", "reply_to", "deliveries", "conflicting", "body"}
  {"record": "summary", "published", "unacknowledged", "received", "redeliveries", "conflicting", "seconds", ...}

`order` counts within the thread from 0; `seq` is the acknowledged sequence in the inbox; `conflicting` counts deliveries
under the same id with another content. The summary is printed, too.

Exit code: 0 if all was acknowledged and nothing conflicts; 1 if not; 2 if the server forbids what an adapter must do.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import nats
import nats.errors
import nats.js.errors

FETCH_SIZE = 256


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", required=True, metavar="URL", help="for example nats://127.0.0.1:4222")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--inbox-prefix", required=True, help="where this user may receive responses")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--data", required=True, type=Path, help="folder that has dialog/ in it")
    parser.add_argument("--messages", type=int, default=10_000, help="from star_en, repeated (default: %(default)s)")
    parser.add_argument("--without-crosswoz", action="store_true", help="leave crosswoz_zh out")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    parser.add_argument("--consumer", required=True, metavar="NAME", help="durable consumer of the outbox")
    parser.add_argument("--stream", default="KEFU_OUTBOX", help="stream of that consumer (default: %(default)s)")
    parser.add_argument("--prefix", default="kefu", help="prefix of all subjects (default: %(default)s)")
    parser.add_argument("--thread-prefix", default="", help="put before every thread id, for a second run on one log")
    parser.add_argument("--rate", type=float, default=0, help="messages a second, 0: as fast as possible (default)")
    parser.add_argument("--in-flight", type=int, default=64, help="threads at once (default: %(default)s)")
    parser.add_argument("--quiet", type=float, default=5, metavar="SECONDS",
                        help="stop once no reply came for so long after the last message (default: %(default)s)")
    parser.add_argument("--count-from-stdin", action="store_true",
                        help="say on stdout when all is published, read from stdin how many replies there are in all, "
                             "and stop once they are here, whatever --quiet says")
    parser.add_argument("--give-up", type=float, default=120, metavar="SECONDS",
                        help="how long to go on publishing one message (default: %(default)s)")
    return parser.parse_args()


def customer_turns(file):
    """(dialogue's id, customer's id, what the customer says) of each dialogue."""
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            dialogue = json.loads(line)
            texts = [turn["text"] for turn in dialogue["turns"] if turn["speaker"] == "customer"]
            yield dialogue["id"], dialogue.get("customer_worker", dialogue["id"]), texts


def threads(options):
    """(thread's id, sender's id, texts) of everything to publish."""
    dialogues = list(customer_turns(options.data / "dialog/star_en.dev.jsonl"))
    left, repetition = options.messages, 0
    while left > 0:
        for dialogue, sender, texts in dialogues:
            texts = texts[:left]
            left -= len(texts)
            if texts:
                yield f"{options.thread_prefix}{dialogue}-{repetition}", sender, texts
        repetition += 1
    if not options.without_crosswoz:
        for dialogue, sender, texts in customer_turns(options.data / "dialog/crosswoz_zh.dev.jsonl"):
            yield f"{options.thread_prefix}{dialogue}", sender, texts


class Pace:
    """Lets `rate` callers a second pass."""

    def __init__(self, rate):
        self.interval = 1 / rate if rate > 0 else 0
        self.next = time.monotonic()

    async def wait(self):
        now = time.monotonic()
        self.next = max(self.next + self.interval, now)
        if self.interval:
            await asyncio.sleep(self.next - now)


class Bus:
    """A connection that comes back, whatever happens to the server."""

    def __init__(self, options):
        self.options = options
        self.connection = None
        self.lock = asyncio.Lock()
        self.forbidden = asyncio.get_running_loop().create_future()

    async def noticed(self, error):
        if "permissions violation" in str(error).lower() and not self.forbidden.done():
            self.forbidden.set_result(str(error))

    async def jetstream(self):
        async with self.lock:
            while self.connection is None or self.connection.is_closed:
                try:
                    self.connection = await nats.connect(
                        self.options.nats,
                        user=self.options.user,
                        password=self.options.password,
                        inbox_prefix=self.options.inbox_prefix.rstrip("."),
                        name="star_replay",
                        error_cb=self.noticed,
                        connect_timeout=2,
                        max_reconnect_attempts=-1,
                        reconnect_time_wait=0.1,
                    )
                except (OSError, asyncio.TimeoutError, nats.errors.Error) as error:
                    if "authorization" in str(error).lower() and not self.forbidden.done():
                        self.forbidden.set_result(str(error))
                    await asyncio.sleep(0.2)
            return self.connection.jetstream()


class Adapter:
    def __init__(self, options, bus, out):
        self.options = options
        self.bus = bus
        self.out = out
        self.pace = Pace(options.rate)
        self.published = self.unacknowledged = self.retried = self.duplicates = 0
        self.replies = {}
        self.last_reply = time.monotonic()

    def write(self, record, **fields):
        self.out.write(json.dumps({"record": record, **fields}, ensure_ascii=False) + "\n")

    async def publish_threads(self, queue):
        """One worker: takes a thread, publishes all of it in order, takes the next."""
        for thread, sender, texts in queue:
            key = hashlib.sha256(f"{self.options.channel}\n{thread}".encode()).hexdigest()[:32]
            for order, text in enumerate(texts):
                await self.pace.wait()
                if not await self.publish(thread, key, sender, order, text):
                    break

    async def publish(self, thread, key, sender, order, text):
        """Publishes one message until it is acknowledged. False: it never was."""
        tenant, channel = self.options.tenant, self.options.channel
        message_id = f"m{order}"
        body = {
            "id": message_id,
            "channel": channel,
            "thread": thread,
            "sender": {"id": sender},
            "sent_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "content": {"kind": "text", "text": text},
        }
        payload = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Nats-Msg-Id": f"{tenant}/{channel}/{key}/{message_id}"}
        subject = f"{self.options.prefix}.in.{tenant}.{channel}.{key}"
        started, attempts = time.monotonic(), 0
        while time.monotonic() - started < self.options.give_up:
            attempts += 1
            try:
                jetstream = await self.bus.jetstream()
                ack = await jetstream.publish(subject, payload, timeout=2, headers=headers)
            except (OSError, asyncio.TimeoutError, nats.errors.Error):
                # Not acknowledged: it may be stored or not, and the inbox may be full or gone.
                self.retried += 1
                await asyncio.sleep(min(0.05 * 2**attempts, 1))
                continue
            self.published += 1
            self.duplicates += bool(ack.duplicate)
            self.write("published", thread=thread, key=key, id=message_id, msg_id=headers["Nats-Msg-Id"], order=order,
                       seq=ack.seq, duplicate=bool(ack.duplicate), attempts=attempts, body=body)
            return True
        self.unacknowledged += 1
        print(f"not acknowledged: {headers['Nats-Msg-Id']}", file=sys.stderr)
        return False

    async def read_replies(self):
        """Reads the outbox for ever."""
        subscription = connection = None
        while True:
            try:
                jetstream = await self.bus.jetstream()
                if subscription is None or connection is not self.bus.connection:
                    connection = self.bus.connection
                    subscription = await jetstream.pull_subscribe_bind(self.options.consumer, self.options.stream)
                for message in await subscription.fetch(FETCH_SIZE, timeout=1):
                    self.note(message.data)
                    await message.ack()
            except asyncio.TimeoutError:
                continue
            except (OSError, nats.errors.Error, nats.js.errors.Error):
                await asyncio.sleep(0.2)

    def note(self, payload):
        self.last_reply = time.monotonic()
        body = json.loads(payload)
        reply = self.replies.setdefault(body["id"], {"body": body, "deliveries": 0, "conflicting": 0})
        reply["deliveries"] += 1
        reply["conflicting"] += body != reply["body"]

    async def quiet(self):
        self.last_reply = time.monotonic()
        while time.monotonic() - self.last_reply < self.options.quiet:
            await asyncio.sleep(0.1)

    async def complete(self):
        self.out.flush()
        print(json.dumps({"published": self.published}), flush=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        while len(self.replies) < int(line or 0):
            await asyncio.sleep(0.1)

    def finish(self, seconds):
        for reply_id, reply in self.replies.items():
            body = reply["body"]
            known = {name: body.get(name) for name in ("thread", "key", "session", "reply_to")}
            self.write("received", id=reply_id, **known, deliveries=reply["deliveries"],
                       conflicting=reply["conflicting"], body=body)
        replies = self.replies.values()
        summary = {
            "published": self.published,
            "unacknowledged": self.unacknowledged,
            "retried": self.retried,
            "duplicates": self.duplicates,
            "received": len(replies),
            "redeliveries": sum(reply["deliveries"] - 1 for reply in replies),
            "conflicting": sum(reply["conflicting"] for reply in replies),
            "seconds": round(seconds, 3),
        }
        self.write("summary", **summary)
        print(json.dumps(summary))
        return 1 if summary["unacknowledged"] or summary["conflicting"] else 0


async def replay(options):
    started = time.monotonic()
    bus = Bus(options)
    with open(options.out, "w", encoding="utf-8") as out:
        adapter = Adapter(options, bus, out)
        reader = asyncio.create_task(adapter.read_replies())
        queue = iter(list(threads(options)))
        workers = [asyncio.create_task(adapter.publish_threads(queue)) for _ in range(options.in_flight)]
        everything = asyncio.gather(*workers)
        done, _ = await asyncio.wait({everything, bus.forbidden, reader}, return_when=asyncio.FIRST_COMPLETED)
        if reader in done:
            reader.result()
        if bus.forbidden in done:
            print(f"the server forbids it: {bus.forbidden.result()}", file=sys.stderr)
            return 2
        everything.result()
        published_after = time.monotonic() - started
        await (adapter.complete() if options.count_from_stdin else adapter.quiet())
        reader.cancel()
        try:
            # Not drain(), which waits half a minute for what the reader's last fetch asked for.
            await bus.connection.flush()
            await bus.connection.close()
        except (OSError, asyncio.TimeoutError, nats.errors.Error):
            pass  # The last acknowledgements may be lost: these replies would be delivered again.
        return adapter.finish(published_after)


if __name__ == "__main__":
    sys.exit(asyncio.run(replay(arguments())))
