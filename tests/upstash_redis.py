"""What the Upstash server of the tests needs of Redis: a pipelined connection (RESP2), and scripts with Upstash's flag.

Standard library only.
"""
import asyncio
import collections
import hashlib
import socket

REPLY_MAX = 512 << 20
FLAG = "allow-key-locking"


class RedisError(Exception):
    """An error reply: its text without the '-'."""


class Status(bytes):
    """A status reply: '+OK'."""


class Gone(Exception):
    """The server can't be reached, or the connection to it broke."""


def encode(command):
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        parts += [b"$%d\r\n" % len(argument), argument, b"\r\n"]
    return b"".join(parts)


async def read_reply(reader):
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return Status(rest)
    if kind == b"-":
        return RedisError(rest.decode("utf-8", "replace"))
    if kind == b":":
        return int(rest)
    size = int(rest)
    if kind == b"$":
        if size < 0:
            return None
        if size > REPLY_MAX:
            raise Gone("a reply without measure")
        return (await reader.readexactly(size + 2))[:-2]
    if kind == b"*":
        return None if size < 0 else [await read_reply(reader) for _ in range(size)]
    raise Gone(f"no RESP2: {line[:20]!r}")


class Connection:
    """Commands of many tasks on one connection. What is written by one call stands together on the wire."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.writer = self.pump = None
        self.waiting = collections.deque()
        self.connecting = asyncio.Lock()

    async def connect(self):
        async with self.connecting:
            if self.writer is not None:
                return
            try:
                reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 20)
            except OSError as error:
                raise Gone(str(error)) from None
            self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pump = asyncio.create_task(self.read_replies(reader))

    async def read_replies(self, reader):
        try:
            while True:
                reply = await read_reply(reader)
                future = self.waiting.popleft()
                if not future.done():
                    future.set_result(reply)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError, Gone):
            self.lose()

    def lose(self):
        if self.writer is not None:
            self.writer.close()
        self.writer = None
        waiting, self.waiting = self.waiting, collections.deque()
        for future in waiting:
            if not future.done():
                future.set_exception(Gone("the connection broke"))

    async def run(self, commands):
        """The replies of `commands` (lists of bytes) in order; error replies are RedisError values."""
        await self.connect()
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in commands]
        self.waiting.extend(futures)
        self.writer.write(b"".join(encode(command) for command in commands))
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, Gone):
                raise result
        return results


# Stands before a flagged script's text: `redis` that lets through only commands whose keys stand in KEYS. %s: where
# each command has its keys, as COMMAND tells it.
GUARD = """local redis=(function(real) local spec='%s' local known={} for _,key in ipairs(KEYS) do known[key]=true end
local function stranger(name,...) local first,last,step=string.match(spec,';'..string.lower(name)..
':(%%d+),(-?%%d+),(%%d+)') if not first then return nil end local given={...} last=tonumber(last)
if last<0 then last=#given+1+last end for at=tonumber(first),last,tonumber(step) do
if given[at] and not known[tostring(given[at])] then return {err="ERR Dynamic keys are not allowed in Lua scripts when "..
"'allow-key-locking' flag is set. Key was: "..tostring(given[at])} end end end
return setmetatable({call=function(...) local wrong=stranger(...) if wrong then error(wrong) end return real.call(...) end,
pcall=function(...) return stranger(...) or real.pcall(...) end},{__index=real}) end)(redis) """.replace("\n", " ")


class Scripts:
    """Redis 7.0 refuses the flag `allow-key-locking`: flagged scripts go to it without that line, under another SHA-1.
    As on Upstash they may touch only keys that stand in KEYS."""

    def __init__(self, key_positions):
        """`key_positions`: name -> (first, last, step)."""
        self.guard = GUARD % ("".join(f";{name}:{first},{last},{step}"
                                      for name, (first, last, step) in sorted(key_positions.items())) + ";")
        self.by_flagged = {}  # SHA-1 of the flagged text -> the one that Redis knows

    def plain_text(self, text):
        """The text for Redis."""
        if not text.startswith(b"#!lua"):
            return text
        line, _, rest = text.partition(b"\n")
        options = line.decode("utf-8", "replace").split()[1:]
        flags = [flag for option in options if option.startswith("flags=") for flag in option[6:].split(",")]
        if FLAG not in flags:
            return text
        flags.remove(FLAG)
        shebang = f"#!lua flags={','.join(flags)}\n" if flags else ""
        plain = shebang.encode() + self.guard.encode() + (b"" if flags else b"\n") + rest
        self.by_flagged[hashlib.sha1(text).hexdigest()] = hashlib.sha1(plain).hexdigest()
        return plain

    def translate(self, command):
        """The command as Redis takes it."""
        name = command[0].lower()
        if name in (b"eval", b"eval_ro") and len(command) > 1:
            return [command[0], self.plain_text(command[1]), *command[2:]]
        if name in (b"evalsha", b"evalsha_ro") and len(command) > 1:
            return [command[0], self.known(command[1]), *command[2:]]
        if name == b"script" and len(command) > 2:
            if command[1].lower() == b"load":
                return [*command[:2], self.plain_text(command[2]), *command[3:]]
            if command[1].lower() == b"exists":
                return [*command[:2], *(self.known(sha1) for sha1 in command[2:])]
        return command

    def known(self, sha1):
        return self.by_flagged.get(sha1.decode("latin-1").lower(), sha1.decode("latin-1")).encode("latin-1")

    def answer(self, command, reply):
        """SCRIPT LOAD answers the hash of the text that was given."""
        if isinstance(reply, bytes) and len(command) > 2 and command[0].lower() == b"script" \
                and command[1].lower() == b"load":
            return hashlib.sha1(command[2]).hexdigest().encode()
        return reply
