// The official SDK of Anthropic against Larder; see common.mjs.
import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import { KEY, collect, failsAlike, hit, missThenHit, plain, providerStats, readStream, runChecks, settings, visible, watch, within } from "./common.mjs";
import { ARGUMENTS, RECORD, TEXT, anthropicTools } from "./expected.mjs";
import { stripped } from "./fold.mjs";

const watched = watch();
const options = { apiKey: KEY, maxRetries: 0, timeout: 30_000 };
const client = new Anthropic({ ...options, baseURL: settings.larder, fetch: watched.fetch });
const direct = new Anthropic({ ...options, baseURL: `${settings.provider}/anthropic` });
const ask = (content, more = {}) => ({ model: "claude-sonnet-5", max_tokens: 1000, messages: [{ role: "user", content }], ...more });
const Record = z.object({ city: z.string(), people: z.number(), rivers: z.array(z.string()) });

/// A request in both forms: the first is a miss, all others are hits, and every one shows the same.
async function inBothForms(body) {
  const whole = await missThenHit(watched, () => client.messages.create(body));
  const final = await hit(watched, () => client.messages.stream(body).finalMessage());
  assert.deepEqual(stripped(final), stripped(whole));
  return whole;
}

async function streamsFirst(body) {
  const show = async (stream) => plain(await collect(await stream)).filter((event) => event.type !== "ping");
  const straight = await show(direct.messages.create({ ...body, stream: true }));
  const first = await show(client.messages.create({ ...body, stream: true }));
  assert.equal(watched.last().cache, "miss");
  assert.deepEqual(first, straight);
  assert.deepEqual(await show(client.messages.create({ ...body, stream: true })), first);
  assert.equal(watched.last().cache, "hit");
  return first;
}

const messages = {
  async plain() {
    const shown = await inBothForms(ask("Hello, plain"));
    assert.deepEqual(shown, plain(await direct.messages.create(ask("Hello, plain"))));
    const system = ask("Hello, system", { system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }] });
    assert.deepEqual(await inBothForms(system), plain(await direct.messages.create(system)));
  },
  async streaming() {
    assert.ok((await streamsFirst(ask("Hello, stream"))).length > 10);
  },
  async "the helper for streams"() {
    const texts = [];
    const stream = client.messages.stream(ask("characters", { top_k: 3 }));
    stream.on("text", (delta) => texts.push(delta));
    assert.equal((await stream.finalMessage()).content[0].text, TEXT);
    assert.equal(texts.join(""), TEXT);
  },
  async "emoji and combining characters"() {
    assert.equal((await inBothForms(ask("characters"))).content[0].text, TEXT);
    await streamsFirst(ask("characters", { top_k: 1 }));
    const echo = await missThenHit(watched, () => client.messages.create(ask(TEXT)));
    assert.deepEqual(echo, plain(await direct.messages.create(ask(TEXT))), "the prompt came as it was");
  },
  async tools() {
    const shown = await inBothForms(ask("tools", { tools: anthropicTools, tool_choice: { type: "auto" } }));
    assert.deepEqual(shown.content.slice(1).map((block) => [block.id, block.name, block.input]),
      [["toolu_1", "weather", ARGUMENTS], ["toolu_2", "clock", {}]]);
    assert.equal(shown.stop_reason, "tool_use");
    await streamsFirst(ask("tools", { tools: anthropicTools, top_k: 1 }));
    const results = ask("tools", { tools: anthropicTools });
    results.messages.push({ role: "assistant", content: shown.content }, {
      role: "user",
      content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "12 °C" }, { type: "tool_result", tool_use_id: "toolu_2", content: "noon" }],
    });
    await inBothForms(results);
  },
  async "structured output"() {
    const body = ask("structured", { output_config: { format: zodOutputFormat(Record) } });
    assert.deepEqual(await missThenHit(watched, async () => (await client.messages.parse(body)).parsed_output), RECORD);
  },
  async thinking() {
    const body = ask("thinking", { max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } });
    const shown = await inBothForms(body);
    assert.deepEqual(shown.content[0], { type: "thinking", thinking: "First … then …", signature: "c2lnbmF0dXJl" });
    await streamsFirst({ ...body, top_k: 1 });
  },
  async "a prompt of a megabyte"() {
    const body = ask("é👍".repeat(180_000));
    const straight = plain(await direct.messages.create(body));
    assert.deepEqual(await missThenHit(watched, () => client.messages.create(body)), straight);
  },
  async "fifty streams at once"() {
    const one = async (index, which) => plain(await which.messages.stream(ask(`stream ${index}`)).finalMessage());
    const indexes = Array.from({ length: 50 }, (_, index) => index);
    const shown = await Promise.all(indexes.map((index) => one(index, client)));
    assert.deepEqual(shown, await Promise.all(indexes.map((index) => one(index, direct))));
    assert.deepEqual(await Promise.all(indexes.map((index) => one(index, client))), shown, "all of them again");
    assert.equal(watched.last().cache, "hit");
  },
  async "an abort in the middle"() {
    const before = (await providerStats()).cancelled;
    const stream = client.messages.stream(ask("abort", { model: "anthropic/fault-stall" }));
    const done = stream.done().catch((error) => error);
    await new Promise((resolve) => stream.once("text", resolve));
    stream.abort();
    assert.ok((await done) instanceof Anthropic.APIUserAbortError);
    await within(1000, async () => (await providerStats()).cancelled > before, "the provider's connection is closed");
  },
  async "an error in the middle of a stream is the provider's own, but for keys"() {
    for (const content of ["broken midway", "broken with a key"]) {
      const asked = ask(content, { stream: true });
      const straight = await readStream(direct.messages.create(asked));
      assert.ok(straight.error instanceof Anthropic.APIError);
      const wanted = { ...straight, error: JSON.parse(JSON.stringify(visible(straight.error)).replaceAll(/sk-\w+/g, "***")) };
      for (let time = 0; time < 2; time += 1) await failsAlike(watched, wanted, () => client.messages.create(asked));
    }
  },
  async "an error in the middle of a stream"() {
    const body = ask("broken", { model: "fault-error-event" });
    const straight = await direct.messages.stream(body).finalMessage().catch((error) => error);
    const seen = await client.messages.stream({ ...body, model: "anthropic/fault-error-event" }).finalMessage().catch((error) => error);
    assert.equal(seen.constructor, straight.constructor);
    assert.equal(plain(seen.error).error.type, plain(straight.error).error.type);
  },
  async retries() {
    const patient = new Anthropic({ ...options, maxRetries: 3, baseURL: settings.larder, fetch: watched.fetch });
    for (const status of [408, 409, 429, 503, 529]) {
      watched.seen.length = 0;
      await patient.messages.create(ask(`retry ${status}`, { model: `anthropic/fault-${status}-retry-after-ms-${status}-times-2` }));
      assert.deepEqual(watched.seen.map((reply) => reply.status), [status, status, 200]);
    }
  },
};

const others = {
  async "counting tokens"() {
    const { model, messages: asked } = ask("How many?");
    const count = await client.messages.countTokens({ model, messages: asked });
    assert.deepEqual(plain(count), plain(await direct.messages.countTokens({ model, messages: asked })));
  },
  async models() {
    const names = (await collect(client.models.list())).map((model) => model.id);
    assert.ok(names.some((name) => name.startsWith("claude-")), String(names));
  },
};

const cross = {
  async "a GPT model"() {
    const body = ask("tools", { model: "gpt-4o", tools: anthropicTools });
    const shown = await inBothForms(body);
    assert.deepEqual(shown.content.map((block) => [block.id, block.name, block.input]),
      [["call_1", "weather", ARGUMENTS], ["call_2", "clock", {}]]);
    assert.equal(shown.stop_reason, "tool_use");
    assert.equal(shown.usage.output_tokens, 9);
    const final = await client.messages.stream({ ...body, temperature: 0.5 }).finalMessage();
    assert.equal(watched.last().cache, "miss");
    assert.deepEqual(stripped(plain(final.content)), stripped(shown.content));
    assert.equal((await inBothForms(ask("characters", { model: "gpt-4o" }))).content[0].text, TEXT);
    const refused = ask("no such", { model: "gpt-4o", top_k: 5 });
    await assert.rejects(client.messages.create(refused), (error) => error instanceof Anthropic.BadRequestError && /top_k/.test(error.message));
  },
};

await runChecks({ messages, others, cross });
