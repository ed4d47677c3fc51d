// What the official Upstash clients see of an Upstash server: upstash_proof.mjs CHECK. URL and token come from
// UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN. Ends with 1 and the reason when something is not as with Upstash.
import assert from "node:assert/strict";

import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const url = process.env.UPSTASH_REDIS_REST_URL;
const token = process.env.UPSTASH_REDIS_REST_TOKEN;
const connect = (options = {}) => new Redis({ url, token, ...options });
const raw = () => connect({ automaticDeserialization: false });
// So long that the end of a window can't fall into a test.
const AGES = "10000 d";

async function fails(promise, pattern) {
  await assert.rejects(promise, (error) => pattern.test(error.message) || assert.fail(error.message));
}

// Calls limit() one after the other.
async function ask(limiter, count, options) {
  const seen = { success: [], remaining: [], limit: new Set(), reset: new Set() };
  for (let call = 0; call < count; call += 1) {
    const result = await limiter.limit("u1", options);
    seen.success.push(result.success);
    seen.remaining.push(result.remaining);
    seen.limit.add(result.limit);
    seen.reset.add(result.reset);
    await result.pending;
  }
  return seen;
}

const limiter = (algorithm, prefix) =>
  new Ratelimit({ redis: connect(), limiter: algorithm, prefix, ephemeralCache: false, timeout: 60_000 });
const repeat = (value, times) => Array(times).fill(value);

const checks = {
  async values() {
    const redis = connect();
    assert.equal(await redis.ping(), "PONG");
    assert.equal(await redis.set("k", { a: 1, b: ["é", null] }, { ex: 60 }), "OK");
    assert.deepEqual(await redis.get("k"), { a: 1, b: ["é", null] });
    const left = await redis.ttl("k");
    assert.ok(left > 50 && left <= 60, `ttl ${left}`);
    assert.equal(await redis.get("nothing"), null);
    assert.equal(await redis.set("k", "2", { nx: true }), null);
    assert.equal(await redis.incrby("big", 9_007_199_254_740_991), 9_007_199_254_740_991);
    assert.equal(await redis.hset("h", { one: 1, two: "zwei" }), 2);
    assert.deepEqual(await redis.hgetall("h"), { one: 1, two: "zwei" });
    assert.equal(await redis.zadd("z", { score: 1.5, member: "m" }), 1);
    assert.equal(await redis.zscore("z", "m"), 1.5);
    assert.deepEqual(await redis.mget("h-not", "big"), [null, 9_007_199_254_740_991]);
    assert.equal(await redis.type("z"), "zset");
  },
  async texts() {
    const redis = raw();
    const texts = ["", "OK", "\u0000\u0001\u001f\u007f\u0080\u00ff", "emoji 😀 👩‍👩‍👧 é", "\"\\/\r\n\t", "x".repeat(200_000), "null", "[1"];
    for (const text of texts) {
      assert.equal(await redis.set("t", text), "OK");
      assert.equal(await redis.get("t"), text);
    }
    assert.equal(await redis.mset({ "ключ 😀": "1", "a/b?c=d&e+f%20": "2" }), "OK");
    assert.deepEqual(await redis.mget("ключ 😀", "a/b?c=d&e+f%20"), ["1", "2"]);
    assert.equal(await connect({ responseEncoding: false }).get("ключ 😀"), 1);
  },
  async pipeline() {
    const redis = raw();
    const pipeline = redis.pipeline();
    pipeline.set("p", "text").incr("p").get("p").incr("counter");
    const results = await pipeline.exec({ keepErrors: true });
    assert.deepEqual(results.map((one) => one.result), ["OK", undefined, "text", 1]);
    assert.match(results[1].error, /ERR value is not an integer/);
    await fails(redis.pipeline().set("p", "x").incr("p").exec(), /ERR value is not an integer/);
    const all = await Promise.all(Array.from({ length: 50 }, () => connect().incr("many")));
    assert.deepEqual(all.sort((a, b) => a - b), Array.from({ length: 50 }, (_, index) => index + 1));
  },
  async multi() {
    const redis = raw();
    assert.deepEqual(await redis.multi().set("m", "1").incr("m").get("m").exec(), ["OK", 2, "2"]);
    const results = await redis.multi().set("m", "text").incr("m").set("after", "1").exec({ keepErrors: true });
    assert.deepEqual(results.map((one) => one.result), ["OK", undefined, "OK"]);
    await fails(redis.multi().set("m", "1").evalsha("0".repeat(40), [], []).exec(), /NOSCRIPT/);
    await fails(redis.multi().set("never", "1").hset("h", {}).exec(), /ERR wrong number of arguments for 'hset' command/);
    assert.equal(await redis.get("never"), null);
    assert.equal(await redis.get("after"), "1");
  },
  async errors() {
    const redis = raw();
    await redis.set("text", "x");
    await fails(redis.lpush("text", "1"), /WRONGTYPE Operation against a key/);
    await fails(redis.incr("text"), /ERR value is not an integer or out of range/);
    await fails(redis.eval("return redis.error_reply('MINE own text')", [], []), /MINE own text/);
    await fails(connect({ token: "wrong" }).get("text"), /WRONGPASS invalid or missing auth token/);
    const reader = connect({ token: process.env.READ_ONLY_TOKEN });
    assert.equal(await reader.get("text"), "x");
    await fails(reader.set("text", "y"), /NOPERM this user has no permissions to run the 'set' command/);
    await fails(reader.keys("*"), /NOPERM/);
    await fails(redis.xread("s", "0", { blockMS: 10 }), /ERR Command is not available/);
  },
  async scripts() {
    const redis = raw();
    const text = "return {KEYS[1],ARGV[1],redis.call('INCR',KEYS[1])}";
    const script = redis.createScript(text);
    await fails(redis.evalsha(script.sha1, ["s"], ["v"]), /NOSCRIPT No matching script/);
    assert.deepEqual(await script.exec(["s"], ["v"]), ["s", "v", 1]);
    assert.deepEqual(await redis.evalsha(script.sha1, ["s"], ["v"]), ["s", "v", 2]);
    const flagged = `#!lua flags=allow-key-locking\n${text}`;
    const locking = redis.createScript(flagged);
    assert.notEqual(locking.sha1, script.sha1);
    await fails(redis.evalsha(locking.sha1, ["s"], ["v"]), /NOSCRIPT/);
    assert.equal(await redis.scriptLoad(flagged), locking.sha1);
    assert.deepEqual(await redis.scriptExists(locking.sha1, script.sha1, "0".repeat(40)), [1, 1, 0]);
    assert.deepEqual(await redis.evalsha(locking.sha1, ["s"], ["é"]), ["s", "é", 3]);
    assert.equal(await redis.scriptFlush(), "OK");
    await fails(redis.evalsha(locking.sha1, ["s"], ["v"]), /NOSCRIPT/);
    await fails(redis.eval("#!lua flags=allow-key-locking\nreturn redis.call('GET',ARGV[1])", ["s"], ["other"]),
      /ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set\. Key was: other/);
    await fails(redis.eval("#!lua flags=allow-key-locking\nreturn 1 +", ["s"], []), /ERR Error compiling script/);
  },
  async sync() {
    const redis = connect({ enableAutoPipelining: false });
    for (let round = 0; round < 10; round += 1) {
      await redis.set("sync", round);
      assert.equal(await redis.get("sync"), round);
    }
  },
  async subscribe() {
    const redis = connect();
    const subscription = redis.subscribe(["news"]);
    await new Promise((resolve) => subscription.on("subscribe", resolve));
    const message = new Promise((resolve) => subscription.on("message", resolve));
    assert.equal(await redis.publish("news", { a: "é" }), 1);
    assert.deepEqual(await message, { channel: "news", message: { a: "é" } });
    await subscription.unsubscribe();
  },
  async fixedWindow() {
    const seen = await ask(limiter(Ratelimit.fixedWindow(5, AGES), "fixed"), 7);
    assert.deepEqual(seen.success, [...repeat(true, 5), ...repeat(false, 2)]);
    assert.deepEqual(seen.remaining, [4, 3, 2, 1, 0, 0, 0]);
    assert.deepEqual([...seen.limit], [5]);
    const window = 10_000 * 86_400_000;
    assert.deepEqual([...seen.reset], [(Math.floor(Date.now() / window) + 1) * window]);
    const weighted = await ask(limiter(Ratelimit.fixedWindow(5, AGES), "weighted"), 3, { rate: 2 });
    assert.deepEqual([weighted.success, weighted.remaining], [[true, true, false], [3, 1, 0]]);
  },
  async slidingWindow() {
    const sliding = limiter(Ratelimit.slidingWindow(5, AGES), "sliding");
    const seen = await ask(sliding, 7);
    assert.deepEqual(seen.success, [...repeat(true, 5), ...repeat(false, 2)]);
    assert.deepEqual(seen.remaining, [4, 3, 2, 1, 0, 0, 0]);
    assert.deepEqual([...seen.limit], [5]);
    assert.equal((await sliding.getRemaining("u1")).remaining, 0);
    await sliding.resetUsedTokens("u1");
    assert.equal((await sliding.limit("u1")).remaining, 4);
  },
  async tokenBucket() {
    const seen = await ask(limiter(Ratelimit.tokenBucket(3, AGES, 5), "bucket"), 7);
    assert.deepEqual(seen.success, [...repeat(true, 5), ...repeat(false, 2)]);
    assert.deepEqual(seen.remaining, [4, 3, 2, 1, 0, 0, 0]);
    assert.deepEqual([...seen.limit], [5]);
    assert.equal(seen.reset.size, 1);
  },
  async crowd() {
    const crowd = limiter(Ratelimit.fixedWindow(20, AGES), "crowd");
    const results = await Promise.all(Array.from({ length: 200 }, () => crowd.limit("u1")));
    assert.equal(results.filter((one) => one.success).length, 20);
  },
};

const check = checks[process.argv[2]];
if (process.argv[2] === "--list") {
  console.log(Object.keys(checks).join("\n"));
} else {
  await check();
  console.log("fine");
}
