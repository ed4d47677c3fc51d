// What the scripts of the official clients share: checks by name, what the cache said to each reply, and comparing.
// A script is started with one argument, a JSON object: { larder, provider, groups }, base URLs without a path; `groups`
// names which of its checks to run. It prints "ok NAME" for each and ends with 1 when one failed.
import assert from "node:assert/strict";

export const settings = JSON.parse(process.argv[2] ?? "{}");
export const KEY = "client-key-0123456789";

/// A fetch that keeps, in `seen`, what every reply said: { status, cache, age, headers }.
export function watch() {
  const seen = [];
  const fetchAndNote = async (url, options) => {
    const reply = await fetch(url, options);
    seen.push({ status: reply.status, cache: reply.headers.get("x-larder-cache"), headers: reply.headers });
    return reply;
  };
  return { fetch: fetchAndNote, seen, last: () => seen.at(-1) };
}

/// A deep copy of what an SDK shows: plain data, without the prototypes and hidden members of its classes.
export function plain(value) {
  return JSON.parse(JSON.stringify(value, (_, inner) => (inner === undefined ? null : inner)) ?? "null");
}

/// Asks twice: the first is a miss, the second a hit, and both show the same. Gives what they show.
export async function missThenHit(watched, ask, show = (result) => plain(result)) {
  const first = show(await ask());
  assert.equal(watched.last().cache, "miss", "the first time");
  const second = show(await ask());
  assert.equal(watched.last().cache, "hit", "the second time");
  assert.deepEqual(second, first);
  return first;
}

/// Asks in another form, for which the entry is there already.
export async function hit(watched, ask, show = (result) => plain(result)) {
  const shown = show(await ask());
  assert.equal(watched.last().cache, "hit");
  return shown;
}

export async function collect(iterable) {
  const all = [];
  for await (const one of iterable) all.push(one);
  return all;
}

/// Reads a stream to its end, or up to its error: { events, error }.
export async function readStream(promise) {
  const events = [];
  try {
    for await (const event of await promise) events.push(plain(event));
    return { events };
  } catch (error) {
    return { events, error };
  }
}

/// What an application can see of an error, but for its headers.
export function visible(error) {
  const { name, constructor, status, message, code, type, param } = error;
  return plain({ name, class: constructor.name, status, message, code, type, param, body: error.error ?? null });
}

/// Polls until `condition()` gives a true value; fails after `milliseconds` (more of them in a slow build).
export async function within(milliseconds, condition, what) {
  const end = performance.now() + milliseconds * (settings.patience ?? 1);
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert.ok(performance.now() < end, `not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/// Streams end as `wanted` does, { events, error } as readStream and visible give them, and are never answered from the cache:
/// the provider is asked again. One that comes before the last call is over joins it.
export async function failsAlike(watched, wanted, ask) {
  const { calls } = await providerStats();
  await within(2000, async () => {
    const { events, error } = await readStream(ask());
    assert.ok(error, "nothing was thrown");
    assert.deepEqual({ events, error: visible(error) }, wanted);
    assert.ok(["miss", "coalesced"].includes(watched.last().cache), watched.last().cache);
    return (await providerStats()).calls > calls;
  }, "the provider is asked again");
}

/// The counters of the recorded provider.
export async function providerStats() {
  return (await fetch(`${settings.provider}/replay/stats`)).json();
}

/// Runs `work(item)` for all items, `width` at a time.
export async function inParallel(width, items, work) {
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export async function runChecks(groups) {
  let failed = 0;
  const chosen = settings.groups ?? Object.keys(groups);
  for (const [name, check] of chosen.flatMap((group) => Object.entries(groups[group]))) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok ${name}: ${error.stack?.slice(0, 3000) ?? error}`);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}
