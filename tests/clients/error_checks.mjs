// Errors: the class and everything in it that each SDK throws by way of Larder, beside what it throws for the provider
// itself; and Larder's own. See common.mjs; `strict` of the settings is a Larder with keys, limits and small bodies.
import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { KEY, plain, runChecks, settings } from "./common.mjs";

const options = { apiKey: KEY, maxRetries: 0, timeout: 30_000 };
const apis = [
  {
    name: "OpenAI", sdk: OpenAI, provider: "openai",
    make: (base, more = {}) => new OpenAI({ ...options, baseURL: `${base}/v1`, ...more }),
    direct: () => new OpenAI({ ...options, baseURL: `${settings.provider}/openai/v1` }),
    ask: (client, model, more = {}, request = {}) =>
      client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello" }], ...more }, request),
  },
  {
    name: "Anthropic", sdk: Anthropic, provider: "anthropic",
    make: (base, more = {}) => new Anthropic({ ...options, baseURL: base, ...more }),
    direct: () => new Anthropic({ ...options, baseURL: `${settings.provider}/anthropic` }),
    ask: (client, model, more = {}, request = {}) =>
      client.messages.create({ model, max_tokens: 100, messages: [{ role: "user", content: "Hello" }], ...more }, request),
  },
];

async function thrown(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

/// What an application can see of an error.
function shown(error) {
  const header = (name) => error.headers?.get(name) ?? null;
  return {
    class: error.constructor.name, status: error.status, message: error.message, code: error.code ?? null,
    type: error.type ?? null, param: error.param ?? null, body: plain(error.error ?? null),
    retryAfter: header("retry-after"), retryAfterMs: header("retry-after-ms"),
  };
}

const STATUSES = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529];
const fromProvider = {};
for (const { name, provider, make, direct, ask } of apis) {
  fromProvider[`${name}: every status of the provider`] = async () => {
    for (const stream of [false, true]) {
      for (const status of STATUSES) {
        const model = status === 429 ? "fault-429-retry-after-7-retry-after-ms-6500" : `fault-${status}`;
        const straight = shown(await thrown(ask(direct(), model, { stream })));
        assert.equal(straight.status, status);
        assert.deepEqual(shown(await thrown(ask(make(settings.larder), `${provider}/${model}`, { stream }))), straight);
      }
    }
  };
}

const own = {};
for (const { name, sdk, provider, make, ask } of apis) {
  const check = (what, work) => (own[`${name}: ${what}`] = work);
  const throws = async (promise, kind, status) => {
    const error = await thrown(promise);
    assert.ok(error instanceof kind, error.constructor.name);
    assert.equal(error.status, status);
    return error;
  };
  const typeOf = (error) => (provider === "openai" ? error.type : error.error.error.type);
  const client = make(settings.larder);
  check("a request that is none is 400", async () => {
    const error = await throws(ask(client, `${provider}/any`, { messages: [] }), sdk.BadRequestError, 400);
    assert.equal(typeOf(error), "invalid_request_error");
    if (provider === "openai") assert.equal(error.param, "messages");
  });
  check("a key that is none is 401", async () => {
    const error = await throws(ask(make(settings.strict), "any"), sdk.AuthenticationError, 401);
    if (provider === "openai") assert.equal(error.code, "invalid_api_key");
    else assert.equal(typeOf(error), "authentication_error");
  });
  check("a key without the scope is 403", () =>
    throws(ask(make(settings.strict, { apiKey: settings.statsKey }), "any"), sdk.PermissionDeniedError, 403));
  check("a model that nobody has is 404", async () => {
    const error = await throws(ask(client, "no-such-model-at-all"), sdk.NotFoundError, 404);
    if (provider === "openai") assert.equal(error.code, "model_not_found");
    else assert.equal(typeOf(error), "not_found_error");
  });
  check("a body over the bound is 413", async () => {
    const strict = make(settings.strict, { apiKey: settings.keys[provider] });
    const messages = [{ role: "user", content: "x".repeat(100_000) }];
    const error = await thrown(ask(strict, `${provider}/any`, { messages }));
    assert.equal(error.status, 413);
    assert.ok(error instanceof sdk.APIError);
  });
  check("an answer that can't be read is 502", () =>
    throws(ask(client, `${provider}/fault-garbage`), sdk.InternalServerError, 502));
  check("a provider that says nothing is 504", () =>
    throws(ask(make(settings.strict, { apiKey: settings.keys[provider] }), `${provider}/fault-hang`), sdk.InternalServerError, 504));
  check("what isn't kept, and only that was asked for, is 504", () =>
    throws(ask(client, `${provider}/unkept`, {}, { headers: { "cache-control": "only-if-cached" } }), sdk.InternalServerError, 504));
  check("one call too many is 429, with when to come again", async () => {
    const strict = make(settings.strict, { apiKey: settings.keys[provider] });
    let error;
    for (let call = 0; call < 20 && error?.status !== 429; call += 1) {
      error = await ask(strict, `${provider}/model ${call}`).catch((one) => one);
    }
    assert.equal(error.constructor, sdk.RateLimitError);
    const seconds = Number(error.headers.get("retry-after"));
    assert.ok(seconds >= 1 && seconds <= 62, `retry-after: ${seconds}`);
    const milliseconds = Number(error.headers.get("retry-after-ms"));
    assert.ok(milliseconds > (seconds - 1) * 1000 && milliseconds <= seconds * 1000, `retry-after-ms: ${milliseconds}`);
  });
}

await runChecks({ fromProvider, own });
