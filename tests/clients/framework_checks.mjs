// Vercel's ai with its providers, and LangChain, against Larder; see common.mjs.
import assert from "node:assert/strict";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { Output, embedMany, generateText, jsonSchema, streamText, tool } from "ai";
import { z } from "zod";

import { KEY, collect, hit, missThenHit, plain, runChecks, settings, watch } from "./common.mjs";
import { ARGUMENTS, RECORD, TEXT, tools } from "./expected.mjs";

const watched = watch();
const common = { apiKey: KEY, fetch: watched.fetch };
const openai = createOpenAI({ ...common, baseURL: `${settings.larder}/v1` });
const anthropic = createAnthropic({ ...common, baseURL: `${settings.larder}/v1` });
const Record = z.object({ city: z.string(), people: z.number(), rivers: z.array(z.string()) });
const aiTools = Object.fromEntries(tools.map(({ function: { name, description, parameters } }) =>
  [name, tool({ description, inputSchema: jsonSchema(parameters) })]));

const summary = ({ text, reasoningText, toolCalls, finishReason, usage }) => ({
  text, reasoningText, finishReason, usage: { in: usage.inputTokens, out: usage.outputTokens },
  calls: toolCalls.map(({ toolCallId, toolName, input }) => [toolCallId, toolName, input]),
});

/// The same by generateText twice, then by streamText.
async function inBothForms(request) {
  const settingsOf = { maxRetries: 0, ...request };
  const whole = await missThenHit(watched, async () => summary(await generateText(settingsOf)));
  const streamed = await hit(watched, async () => {
    const result = streamText({ ...settingsOf, onError: ({ error }) => { throw error; } });
    const [text, reasoningText, toolCalls, finishReason, usage] = await Promise.all(
      [result.text, result.reasoningText, result.toolCalls, result.finishReason, result.usage]);
    return summary({ text, reasoningText, toolCalls, finishReason, usage });
  });
  assert.deepEqual(streamed, whole);
  return whole;
}

// Anthropic's provider asks for another way of streaming tools in streams only, unless it is told not to.
const providerOptions = { anthropic: { toolStreaming: false } };

async function vercelChecks(model, calls) {
  assert.ok((await inBothForms({ model, prompt: "Hello, ai" })).text.length > 20);
  assert.equal((await inBothForms({ model, prompt: "characters" })).text, TEXT);
  assert.deepEqual((await inBothForms({ model, prompt: "tools", tools: aiTools, providerOptions })).calls, calls);
}

async function structured(model) {
  const ask = async () => (await generateText({ model, prompt: "structured", maxRetries: 0, output: Output.object({ schema: Record }) })).output;
  assert.deepEqual(await missThenHit(watched, ask), RECORD);
}

const vercel = {
  async "ai with chat completions"() {
    await vercelChecks(openai.chat("gpt-4o"), [["call_1", "weather", ARGUMENTS], ["call_2", "clock", {}]]);
    await structured(openai.chat("gpt-4o"));
  },
  async "ai with messages"() {
    await vercelChecks(anthropic("claude-sonnet-5"), [["toolu_1", "weather", ARGUMENTS], ["toolu_2", "clock", {}]]);
    const thinking = await inBothForms({ model: anthropic("claude-sonnet-5"), prompt: "thinking", maxOutputTokens: 2000,
      providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } });
    assert.equal(thinking.reasoningText, "First … then …");
  },
  async "ai's errors and retries"() {
    const model = openai.chat("openai/fault-429-retry-after-ms-30-times-2");
    assert.ok((await generateText({ model, prompt: "again", maxRetries: 2 })).text);
    const refused = generateText({ model: openai.chat("openai/fault-401"), prompt: "no", maxRetries: 2 });
    await assert.rejects(refused, (error) => error.statusCode === 401 && error.isRetryable === false);
  },
};

const vercelResponses = {
  async "ai with responses"() {
    await vercelChecks(openai("gpt-4o"), [["call_1", "weather", ARGUMENTS]]);
    await structured(openai("gpt-4o"));
  },
};

const vercelEmbeddings = {
  async "ai with embeddings"() {
    const ask = () => embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["ai one", "ai two"], maxRetries: 0 });
    const shown = await missThenHit(watched, async () => (await ask()).embeddings);
    assert.equal(shown.length, 2);
  },
};

const langchainModel = (more = {}) => new ChatOpenAI({
  model: "gpt-4o", apiKey: KEY, maxRetries: 0, useResponsesApi: false, configuration: { baseURL: `${settings.larder}/v1`, fetch: watched.fetch }, ...more });
const messageOf = (message) => plain({ content: message.content, calls: message.tool_calls, usage: message.usage_metadata });

const langchain = {
  async "LangChain: plain and streaming"() {
    const model = langchainModel({ topP: 0.9 });
    for (const prompt of ["Hello, chain", "characters"]) {
      const whole = await missThenHit(watched, () => model.invoke([new HumanMessage(prompt)]), messageOf);
      const chunks = await hit(watched, async () => collect(await model.stream([new HumanMessage(prompt)])), (all) => all);
      assert.equal(chunks.map((chunk) => chunk.content).join(""), whole.content);
      if (prompt === "characters") assert.equal(whole.content, TEXT);
    }
  },
  async "LangChain: tools and structured output"() {
    const whole = await missThenHit(watched, () => langchainModel().bindTools(tools).invoke("tools"), messageOf);
    assert.deepEqual(whole.calls.map((call) => [call.id, call.name, call.args]), [["call_1", "weather", ARGUMENTS], ["call_2", "clock", {}]]);
    const model = langchainModel().withStructuredOutput(Record, { method: "jsonSchema" });
    assert.deepEqual(await missThenHit(watched, () => model.invoke("structured")), RECORD);
  },
  async "LangChain: errors and retries"() {
    const patient = langchainModel({ model: "openai/fault-503-retry-after-ms-30-times-1", maxRetries: 2 });
    assert.ok((await patient.invoke("again")).content);
    const model = langchainModel({ model: "openai/fault-429-retry-after-1" });
    await assert.rejects(model.invoke("no"), (error) => error.status === 429);
  },
};

const langchainEmbeddings = {
  async "LangChain: embeddings"() {
    const model = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: KEY, maxRetries: 0,
      configuration: { baseURL: `${settings.larder}/v1`, fetch: watched.fetch } });
    const shown = await missThenHit(watched, () => model.embedDocuments(["chain one", "chain two"]));
    assert.equal(shown.length, 2);
  },
};

await runChecks({ vercel, vercelResponses, vercelEmbeddings, langchain, langchainEmbeddings });
