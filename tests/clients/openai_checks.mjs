// The official SDK of OpenAI against Larder; see common.mjs.
import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { KEY, collect, failsAlike, hit, missThenHit, plain, providerStats, readStream, runChecks, settings, visible, watch, within } from "./common.mjs";
import { ARGUMENTS, RECORD, TEXT, tools } from "./expected.mjs";
import { foldChunks, stripped } from "./fold.mjs";

const watched = watch();
const options = { apiKey: KEY, maxRetries: 0, timeout: 30_000 };
const client = new OpenAI({ ...options, baseURL: `${settings.larder}/v1`, fetch: watched.fetch });
const direct = new OpenAI({ ...options, baseURL: `${settings.provider}/openai/v1` });
const ask = (content, more = {}) => ({ model: "gpt-4o", messages: [{ role: "user", content }], ...more });
const withUsage = { stream: true, stream_options: { include_usage: true } };
const Record = z.object({ city: z.string(), people: z.number(), rivers: z.array(z.string()) });

/// A request in both forms: the first is a miss, all others are hits, and every one shows the same.
async function inBothForms(body) {
  const { object: _, ...whole } = await missThenHit(watched, () => client.chat.completions.create(body));
  const chunks = await hit(watched, async () => collect(await client.chat.completions.create({ ...body, ...withUsage })));
  assert.deepEqual(stripped(foldChunks(chunks)), stripped(whole));
  return whole;
}

async function streamsFirst(body) {
  const show = async (stream) => plain(await collect(await stream));
  const straight = await show(direct.chat.completions.create({ ...body, ...withUsage }));
  const first = await show(client.chat.completions.create({ ...body, ...withUsage }));
  assert.equal(watched.last().cache, "miss");
  assert.deepEqual(first, straight);
  assert.deepEqual(await show(client.chat.completions.create({ ...body, ...withUsage })), first);
  assert.equal(watched.last().cache, "hit");
  return first;
}

const chat = {
  async plain() {
    const body = ask("Hello, plain");
    const shown = await inBothForms(body);
    assert.deepEqual(shown, (({ object: _, ...rest }) => rest)(plain(await direct.chat.completions.create(body))));
  },
  async "request ids and headers come through"() {
    const { request_id: id } = await client.chat.completions.create(ask("Hello, ids")).withResponse();
    assert.match(id, /^req-/);
  },
  async streaming() {
    const chunks = await streamsFirst(ask("Hello, stream"));
    assert.ok(chunks.length > 10);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
    const bare = await hit(watched, async () => collect(await client.chat.completions.create(ask("Hello, stream", { stream: true }))));
    assert.ok(bare.every((chunk) => !chunk.usage && chunk.choices.length > 0), "usage that nobody asked for");
  },
  async "the helper for streams"() {
    const stream = client.chat.completions.stream(ask("characters", { seed: 2 }));
    const texts = [];
    stream.on("content", (delta) => texts.push(delta));
    const final = await stream.finalChatCompletion();
    assert.equal(texts.join(""), TEXT);
    assert.equal(final.choices[0].message.content, TEXT);
  },
  async "emoji and combining characters"() {
    assert.equal((await inBothForms(ask("characters"))).choices[0].message.content, TEXT);
    await streamsFirst(ask("characters", { seed: 1 }));
    const echo = await missThenHit(watched, () => client.chat.completions.create(ask(TEXT)));
    assert.deepEqual(echo, plain(await direct.chat.completions.create(ask(TEXT))), "the prompt came as it was");
  },
  async tools() {
    const shown = await inBothForms(ask("tools", { tools }));
    const calls = shown.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((call) => [call.id, call.function.name]), [["call_1", "weather"], ["call_2", "clock"]]);
    assert.deepEqual(JSON.parse(calls[0].function.arguments), ARGUMENTS);
    await streamsFirst(ask("tools", { tools, seed: 1 }));
    const final = await client.chat.completions.stream(ask("tools", { tools })).finalChatCompletion();
    assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), ARGUMENTS);
    const results = ask("tools", { tools });
    results.messages.push(shown.choices[0].message, { role: "tool", tool_call_id: "call_1", content: "12 °C" },
      { role: "tool", tool_call_id: "call_2", content: "noon" }, { role: "user", content: "And now?" });
    await inBothForms(results);
  },
  async "structured output"() {
    const body = ask("structured", { response_format: zodResponseFormat(Record, "record") });
    const parsed = async () => (await client.chat.completions.parse(body)).choices[0].message.parsed;
    assert.deepEqual(await missThenHit(watched, parsed), RECORD);
    const final = await client.chat.completions.stream(body).finalChatCompletion();
    assert.deepEqual(final.choices[0].message.parsed, RECORD);
  },
  async "several choices, and reasoning"() {
    const shown = await inBothForms(ask("choices", { n: 2 }));
    assert.deepEqual(shown.choices.map((choice) => choice.message.content), ["one of them", "the other, a longer one"]);
    const thought = await inBothForms(ask("reasoning"));
    assert.equal(thought.choices[0].message.reasoning_content, "First … then …");
    await streamsFirst(ask("reasoning", { seed: 1 }));
  },
  async "a prompt of a megabyte"() {
    const body = ask("é👍".repeat(180_000));
    const straight = plain(await direct.chat.completions.create(body));
    const last = await (await fetch(`${settings.provider}/replay/last`)).json();
    assert.deepEqual(await missThenHit(watched, () => client.chat.completions.create(body)), straight);
    assert.equal((await (await fetch(`${settings.provider}/replay/last`)).json()).sha256, last.sha256, "the bytes at the provider");
  },
  async "fifty streams at once"() {
    const one = async (index, which) => {
      const stream = await which.chat.completions.create({ ...ask(`stream ${index}`), ...withUsage });
      return plain(await collect(stream));
    };
    const indexes = Array.from({ length: 50 }, (_, index) => index);
    const shown = await Promise.all(indexes.map((index) => one(index, client)));
    assert.deepEqual(shown, await Promise.all(indexes.map((index) => one(index, direct))));
    assert.deepEqual(await Promise.all(indexes.map((index) => one(index, client))), shown, "all of them again");
    assert.equal(watched.last().cache, "hit");
  },
  async "an abort in the middle"() {
    const before = (await providerStats()).cancelled;
    const stream = await client.chat.completions.create(ask("abort", { model: "openai/fault-stall", stream: true }));
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      break; // ends the request too
    }
    await within(1000, async () => (await providerStats()).cancelled > before, "the provider's connection is closed");
    const waiting = new AbortController();
    const never = client.chat.completions.create(ask("abort", { model: "openai/fault-hang" }), { signal: waiting.signal });
    await within(5000, async () => (await providerStats()).active > 0, "the call is under way");
    waiting.abort();
    await assert.rejects(never, OpenAI.APIUserAbortError);
    await within(1000, async () => (await providerStats()).cancelled > before + 1, "the second one too");
  },
  async "an error in the middle of a stream is the provider's own, but for keys"() {
    for (const content of ["broken midway", "broken with a key"]) {
      const straight = await readStream(direct.chat.completions.create(ask(content, withUsage)));
      assert.equal(straight.error.constructor, OpenAI.APIError);
      assert.ok(straight.events.length > 1);
      const wanted = { ...straight, error: JSON.parse(JSON.stringify(visible(straight.error)).replaceAll(/sk-\w+/g, "***")) };
      for (let time = 0; time < 2; time += 1) await failsAlike(watched, wanted, () => client.chat.completions.create(ask(content, withUsage)));
    }
    const made = await readStream(client.chat.completions.create(ask("broken", { model: "openai/fault-error-event", stream: true })));
    assert.equal(made.error.constructor, OpenAI.APIError);
  },
  async retries() {
    const patient = new OpenAI({ ...options, maxRetries: 3, baseURL: `${settings.larder}/v1`, fetch: watched.fetch });
    for (const status of [408, 409, 429, 503]) {
      watched.seen.length = 0;
      const model = `openai/fault-${status}-retry-after-ms-1${status}-times-2`.replace("-1", "-");
      await patient.chat.completions.create(ask(`retry ${status}`, { model }));
      assert.deepEqual(watched.seen.map((reply) => reply.status), [status, status, 200]);
    }
  },
};

const responses = {
  async "responses: plain and streaming"() {
    const body = { model: "gpt-4o", input: "Hello, responses" };
    const show = (response) => plain(response);
    const whole = await missThenHit(watched, () => client.responses.create(body), show);
    assert.deepEqual(whole, plain(await direct.responses.create(body)));
    const events = await hit(watched, async () => collect(await client.responses.create({ ...body, stream: true })));
    const { output_text: _, ...rest } = whole;
    assert.deepEqual(stripped(events.at(-1).response), stripped(rest));
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_event, index) => index));
    const other = { ...body, input: "characters", stream: true };
    const straight = plain(await collect(await direct.responses.create(other)));
    assert.deepEqual(await missThenHit(watched, async () => collect(await client.responses.create(other))), straight);
    const final = await client.responses.stream({ model: "gpt-4o", input: "characters" }).finalResponse();
    assert.equal(watched.last().cache, "hit");
    assert.equal(final.output_text, TEXT);
  },
  async "responses: tools and structured output"() {
    const tool = { type: "function", strict: false, ...tools[0].function };
    const body = { model: "gpt-4o", input: "tools", tools: [tool] };
    const whole = await missThenHit(watched, () => client.responses.create(body));
    assert.deepEqual(JSON.parse(whole.output[0].arguments), ARGUMENTS);
    const final = await client.responses.stream(body).finalResponse();
    assert.equal(watched.last().cache, "hit");
    assert.equal(final.output[0].arguments, whole.output[0].arguments);
    const parsed = async () =>
      (await client.responses.parse({ model: "gpt-4o", input: "structured", text: { format: zodTextFormat(Record, "record") } })).output_parsed;
    assert.deepEqual(await missThenHit(watched, parsed), RECORD);
  },
  async "responses: one that failed, or broke midway, is the provider's own"() {
    const failing = { model: "gpt-4o", input: "failing", stream: true };
    const straight = plain(await collect(await direct.responses.create(failing)));
    assert.equal(straight.at(-1).type, "response.failed");
    for (let time = 0; time < 2; time += 1) {
      const { calls } = await providerStats();
      assert.deepEqual(plain(await collect(await client.responses.create(failing))), straight);
      assert.equal((await providerStats()).calls, calls + 1);
    }
    const broken = { ...failing, model: "fault-error-event" };
    const { events, error } = await readStream(direct.responses.create(broken));
    const wanted = error ? { events, error: visible(error) } : { events };
    for (let time = 0; time < 2; time += 1) {
      const seen = await readStream(client.responses.create({ ...broken, model: "openai/fault-error-event" }));
      assert.deepEqual(seen.error ? { ...seen, error: visible(seen.error) } : seen, wanted);
    }
  },
  async "responses: what depends on the provider's state is asked each time"() {
    const body = { model: "gpt-4o", input: "go on", previous_response_id: "resp_1" };
    for (let time = 0; time < 2; time += 1) {
      await client.responses.create(body);
      assert.notEqual(watched.last().cache, "hit");
    }
  },
};

const embeddings = {
  async embeddings() {
    const model = "text-embedding-3-small";
    const show = (answer) => answer.data.map((item) => [item.index, Array.from(new Float32Array(item.embedding))]);
    const body = { model, input: ["one", "two"], dimensions: 32 };
    const numbers = await missThenHit(watched, () => client.embeddings.create(body), show);
    assert.deepEqual(numbers, show(await direct.embeddings.create(body)));
    assert.equal(numbers[0][1].length, 32);
    const floats = await hit(watched, () => client.embeddings.create({ ...body, encoding_format: "float" }), show);
    assert.deepEqual(floats, numbers);
    const other = await hit(watched, () => client.embeddings.create({ ...body, input: ["two", "one", "two"] }), show);
    assert.deepEqual(other.map((item) => item[1]), [numbers[1][1], numbers[0][1], numbers[1][1]]);
    const tokens = { model, input: [[1, 2, 3], [4]], dimensions: 32 };
    assert.deepEqual(await missThenHit(watched, () => client.embeddings.create(tokens), show), show(await direct.embeddings.create(tokens)));
  },
  async "a batch asks only for what is missing"() {
    const body = { model: "text-embedding-3-small", dimensions: 8 };
    await client.embeddings.create({ ...body, input: ["kept", "also kept"] });
    const mixed = await client.embeddings.create({ ...body, input: ["new", "kept", "newer", "also kept"] });
    const last = await (await fetch(`${settings.provider}/replay/last`)).json();
    assert.deepEqual(JSON.parse(last.body).input, ["new", "newer"]);
    const straight = await direct.embeddings.create({ ...body, input: ["new", "kept", "newer", "also kept"] });
    assert.deepEqual(mixed.data, straight.data);
  },
};

const others = {
  async models() {
    const names = (await collect(client.models.list())).map((model) => model.id);
    assert.ok(names.includes("gpt-4o"), String(names));
  },
};

const cross = {
  async "a Claude model"() {
    const body = ask("tools", { model: "claude-sonnet-5", max_tokens: 500, tools });
    const shown = await inBothForms(body);
    const { message, finish_reason: finish } = shown.choices[0];
    assert.equal(finish, "tool_calls");
    assert.equal(message.content, "I'll look.");
    assert.deepEqual(message.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]),
      [["toolu_1", "weather", ARGUMENTS], ["toolu_2", "clock", {}]]);
    assert.equal(shown.usage.completion_tokens, 11);
    const final = await client.chat.completions.stream({ ...body, ...withUsage, temperature: 0.5 }).finalChatCompletion();
    assert.equal(watched.last().cache, "miss");
    assert.deepEqual(stripped(plain(final.choices[0].message.tool_calls)).map((call) => [call.id, call.function.name]),
      [["toolu_1", "weather"], ["toolu_2", "clock"]]);
    const text = await inBothForms(ask("characters", { model: "claude-sonnet-5", max_tokens: 500 }));
    assert.equal(text.choices[0].message.content, TEXT);
    const refused = ask("n", { model: "claude-sonnet-5", max_tokens: 500, n: 3 });
    await assert.rejects(client.chat.completions.create(refused), (error) => error instanceof OpenAI.BadRequestError && error.param === "n");
  },
  async "a Claude model: one entry for both clients that speak one version"() {
    // The version is part of the key. An OpenAI client names none and gets Larder's; this SDK would name a newer one.
    const defaultHeaders = { "anthropic-version": "2023-06-01" };
    const anthropic = new Anthropic({ ...options, defaultHeaders, baseURL: settings.larder, fetch: watched.fetch });
    const asOpenAi = (content) => client.chat.completions.create(ask(content, { model: "claude-sonnet-5", max_tokens: 321 }));
    const asAnthropic = (content) => anthropic.messages.create(ask(content, { model: "claude-sonnet-5", max_tokens: 321 }));
    const caches = [];
    for (const [content, first, second] of [["one", asOpenAi, asAnthropic], ["other", asAnthropic, asOpenAi]]) {
      const texts = [];
      for (const asked of [first, second]) {
        const answer = await asked(`shared by both, ${content}`);
        texts.push(answer.choices?.[0].message.content ?? answer.content[0].text);
        caches.push(watched.last().cache);
      }
      assert.ok(texts[0].length > 0);
      assert.equal(texts[1], texts[0]);
    }
    assert.deepEqual(caches, ["miss", "hit", "miss", "hit"]);
  },
};

await runChecks({ chat, responses, embeddings, others, cross });
