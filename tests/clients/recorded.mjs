// Every recorded exchange by way of the official SDKs: recorded.mjs {larder, provider, exchanges}, where `exchanges` is a
// file of JSON lines {id, api, provider, stream, keepable, headers, beta, body}. Of each is compared what the SDK shows
// straight from the provider, through Larder the first and the second time, and in the other form of its API. Those with
// `passes` go through an API that Larder passes on as it is: there only the first two are compared.
// Prints {"counts": …, "failures": […]} at the end.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import Anthropic from "@anthropic-ai/sdk";
import { MessageStream } from "@anthropic-ai/sdk/lib/MessageStream";
import OpenAI from "openai";
import { ResponseStream } from "openai/lib/responses/ResponseStream";

import { KEY, inParallel, plain, providerStats, settings, visible } from "./common.mjs";
import { foldChunks, readableOf, stripped } from "./fold.mjs";

const counts = {};
const failures = [];
let expectedCalls = 0; // at the provider
const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);

// One fetch for all: what the cache said is found by a header that is unique to a call.
const outcomes = new Map();
let calls = 0;
async function fetchAndNote(url, options) {
  const reply = await fetch(url, options);
  const headers = new Headers(options.headers);
  outcomes.set(headers.get("x-call"), reply.headers.get("x-larder-cache"));
  return reply;
}

const options = { apiKey: KEY, maxRetries: 0, timeout: 60_000, fetch: fetchAndNote, logLevel: "off" };
const openai = (baseURL) => new OpenAI({ ...options, baseURL });
const anthropic = (baseURL) => new Anthropic({ ...options, baseURL });
const gateways = { openai: openai(`${settings.larder}/v1`), anthropic: anthropic(settings.larder) };
const sdkOf = (exchange) => exchange.api.split(".")[0];
const gatewayFor = (exchange) => gateways[sdkOf(exchange)];
const direct = new Map();
function directTo(exchange) {
  const kind = sdkOf(exchange);
  const key = `${kind} ${exchange.provider}`;
  if (!direct.has(key)) {
    const base = `${settings.provider}/${exchange.provider}`;
    direct.set(key, kind === "openai" ? openai(`${base}/v1`) : anthropic(base));
  }
  return direct.get(key);
}

function create(client, exchange, body, headers) {
  const request = { headers: { ...exchange.headers, ...headers } };
  switch (exchange.api) {
    case "openai.chat":
      return client.chat.completions.create(body, request);
    case "openai.responses":
      return client.responses.create(body, request);
    case "openai.embeddings":
      return client.embeddings.create(body, request);
    case "openai.completions":
      // A prompt that its provider keeps has a path of its own.
      return body.model ? client.completions.create(body, request) : client.post(exchange.path, { body, ...request });
    case "openai.moderations":
      return client.moderations.create(body, request);
    case "anthropic.count_tokens":
      return (exchange.beta ? client.beta.messages : client.messages).countTokens(body, request);
    case "openai.models":
    case "anthropic.models":
      return exchange.api === "openai.models" ? client.models.retrieve(body.model, request) : client.models.retrieve(body.model, {}, request);
    default:
      return (exchange.beta ? client.beta.messages : client.messages).create(body, request);
  }
}

/// What the SDK shows: {value}, {events}, {error}, or what came before an error and that. Gives it with what the cache said.
async function ask(client, exchange, change = {}) {
  const call = String((calls += 1));
  const headers = { "x-call": call, "x-larder-variant": exchange.id };
  const body = { ...exchange.body, ...change };
  if (client === gatewayFor(exchange)) {
    const provider = `${exchange.provider}${sdkOf(exchange) === "anthropic" ? "-messages" : ""}`;
    if (body.model) body.model = `${provider}/${body.model}`;
    else headers["x-larder-provider"] = provider;
  }
  const shown = {};
  try {
    const result = await create(client, exchange, body, headers);
    if (body.stream === true && result[Symbol.asyncIterator]) {
      shown.events = [];
      for await (const event of result) shown.events.push(plain(event));
    } else {
      shown.value = plain(result);
    }
  } catch (error) {
    shown.error = masked(visible(error));
  }
  return { shown, outcome: outcomes.get(call) };
}

// Larder masks keys in a provider's errors; the recorders did so too, in their own ways.
function masked(value) {
  const text = JSON.stringify(value).replaceAll(/[\w-]*(\*\*\*|REDACTED)[\w.*-]*/g, "*");
  return JSON.parse(text.replaceAll(/(API key provided: )[^. ]+\.?/g, "$1*"));
}

// ---- the other form

/// One view of both forms: what the SDK shows of a plain answer, and what it puts together from a stream.
async function viewOf(exchange, shown) {
  if (shown.error) return shown;
  if (exchange.api === "openai.chat") {
    if (!shown.value) return stripped(foldChunks(shown.events));
    // Perplexity's plain answers have an empty delta too.
    const choices = shown.value.choices.map((choice) => ({ ...choice, delta: undefined }));
    return stripped({ ...shown.value, object: null, choices });
  }
  if (exchange.api === "openai.responses") {
    if (shown.value) return stripped({ ...shown.value, output_text: null }); // which the SDK itself adds
    const last = shown.events.findLast((event) => event.response)?.response;
    const folded = plain(await ResponseStream.fromReadableStream(readableOf(shown.events)).finalResponse());
    assert.deepEqual(stripped(withoutParsed(folded.output)), stripped(withoutParsed(last.output)), "the events and the last one");
    return stripped(last);
  }
  if (shown.value) return stripped(shown.value);
  return stripped(plain(await MessageStream.fromReadableStream(readableOf(shown.events)).finalMessage()));
}

function withoutParsed(value) {
  return JSON.parse(JSON.stringify(value, (name, inner) => (name === "parsed" || name === "parsed_arguments" ? undefined : inner)));
}

async function checkOtherForm(exchange, first) {
  if (exchange.api === "openai.embeddings") {
    if (exchange.provider === "perplexity") return; // whose vectors are bytes: no other encoding has them
    const numbers = await ask(gateways.openai, exchange, { encoding_format: "float" });
    const base64 = await ask(gateways.openai, exchange, { encoding_format: "base64" });
    const usual = await ask(gateways.openai, exchange, { encoding_format: undefined });
    for (const other of [numbers, base64, usual]) assert.equal(other.outcome, "hit", "the other encoding");
    assert.deepEqual(floatsOf(numbers.shown.value), floatsOf(base64.shown.value));
    assert.deepEqual(floatsOf(usual.shown.value), floatsOf(first.shown.value));
    assert.deepEqual(floatsOf(usual.shown.value), floatsOf(numbers.shown.value));
    return;
  }
  const change = { stream: !exchange.stream };
  if (exchange.api === "openai.chat") change.stream_options = exchange.stream ? undefined : { include_usage: true };
  const other = await ask(gatewayFor(exchange), exchange, change);
  assert.equal(other.outcome, "hit", "the other form");
  const wanted = await viewOf(exchange, first.shown);
  if (wanted.error) return count(`${exchange.api}: a stream that its SDK can't read`);
  const got = await viewOf(exchange, other.shown);
  // A client that asked for no usage in its stream sees none there.
  if (!wanted.usage && exchange.api === "openai.chat" && exchange.stream) delete got.usage;
  assert.deepEqual(got, wanted, "the other form");
  count(`${exchange.api}: the other form`);
}

function floatsOf(answer) {
  return answer.data.map(({ embedding }) => {
    if (typeof embedding !== "string") return Array.from(new Float32Array(embedding));
    const bytes = Buffer.from(embedding, "base64");
    return Array.from(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
  });
}

// ---- each exchange

async function check(exchange) {
  const client = gatewayFor(exchange);
  const straight = await ask(directTo(exchange), exchange);
  const first = await ask(client, exchange);
  if (exchange.passes) {
    expectedCalls += 2;
    assert.ok([undefined, null, "bypass"].includes(first.outcome), `to be passed on: ${first.outcome}`);
    assert.deepEqual(first.shown, straight.shown, "through Larder and straight from the provider");
    count(`${exchange.api}: ${first.shown.error ? "errors" : "passed on"}`);
    return;
  }
  if (first.shown.error?.status === 400 && !first.outcome) {
    // Larder has seen the fault itself, and says so in its own words.
    assert.deepEqual([first.shown.error.class, 400], [straight.shown.error?.class, straight.shown.error?.status]);
    expectedCalls += 1;
    count(`${exchange.api}: refused by Larder itself`);
    return;
  }
  // Of equal inputs the first vector counts: a provider's own differ a little.
  const isUnreadable = exchange.odd && first.shown.error?.code === "provider_unreadable"; // of a wrong content type: a 502
  const inputs = exchange.api === "openai.embeddings" ? [exchange.body.input].flat().map((input) => JSON.stringify(input)) : [];
  if (!isUnreadable && (new Set(inputs).size === inputs.length || Number.isInteger(exchange.body.input[0]))) {
    assert.deepEqual(first.shown, straight.shown, "through Larder and straight from the provider");
  }
  let second = await ask(client, exchange);
  // After an error in a stream the call is over a moment later: who comes before joins it.
  while (exchange.odd && second.outcome === "coalesced") {
    assert.deepEqual(second.shown, first.shown, "the first and the joined one");
    second = await ask(client, exchange);
  }
  expectedCalls += exchange.keepable ? 2 : 3;
  assert.deepEqual(second.shown, first.shown, "the first and the second time");
  if (!exchange.keepable) {
    assert.ok([undefined, null, "miss", "bypass"].includes(second.outcome), `not to be kept: ${second.outcome}`);
    count(`${exchange.api}: ${isUnreadable ? "unreadable" : exchange.odd ? "odd" : first.shown.error ? "errors" : "not to be kept"}`);
    return;
  }
  assert.deepEqual([first.outcome, second.outcome], ["miss", "hit"]);
  count(`${exchange.api}: miss and hit`);
  await checkOtherForm(exchange, first);
}

const exchanges = readFileSync(settings.exchanges, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
await inParallel(8, exchanges, async (exchange) => {
  try {
    await check(exchange);
  } catch (error) {
    failures.push({ id: exchange.id, api: exchange.api, provider: exchange.provider, why: String(error.message).slice(0, 1500) });
  }
});
const { calls: callsMade } = await providerStats();
if (failures.length === 0 && callsMade !== expectedCalls) failures.push({ why: `${callsMade} calls at the provider, not ${expectedCalls}` });
console.log(JSON.stringify({ counts, failures }));
