// Puts the plain answer together from chunks of OpenAI's chat completions, with every field that they showed: what the
// SDK's own helper does, and the fields too that it doesn't know.
export function foldChunks(chunks) {
  const answer = { choices: [] };
  for (const chunk of chunks) {
    for (const [name, value] of Object.entries(chunk)) {
      if (name === "choices" || name === "object" || name === "obfuscation") continue;
      merge(answer, name, value);
    }
    for (const choice of chunk.choices ?? []) foldChoice(answer.choices, choice);
  }
  return answer;
}

/// Outside of a delta: objects grow, everything else is the last value.
function merge(target, name, value) {
  if (value === null) return;
  const isObject = (one) => typeof one === "object" && one !== null && !Array.isArray(one);
  if (isObject(value) && isObject(target[name])) Object.assign(target[name], value);
  else target[name] = structuredClone(value);
}

function foldChoice(choices, { index = 0, delta, logprobs, ...rest }) {
  const known = (choices[index] ??= { index, message: { role: "assistant" } });
  for (const [name, value] of Object.entries(rest)) if (name !== "message") merge(known, name, value);
  if (logprobs) {
    known.logprobs ??= {};
    for (const [name, tokens] of Object.entries(logprobs)) {
      if (Array.isArray(tokens)) known.logprobs[name] = (known.logprobs[name] ?? []).concat(tokens);
    }
  }
  foldInto(known.message, delta ?? {});
}

// Texts are joined, lists with an index are merged by it, other lists joined, everything else is the last value.
const WHOLE = new Set(["role", "id", "type", "name", "format", "signature"]);

function foldInto(target, delta) {
  for (const [name, value] of Object.entries(delta)) {
    if (value === null) continue;
    if (typeof value === "string" && typeof target[name] === "string" && !WHOLE.has(name)) target[name] += value;
    else if (Array.isArray(value)) target[name] = foldList(target[name] ?? [], value);
    else if (typeof value === "object") foldInto((target[name] ??= {}), value);
    else if (value !== "" || target[name] === undefined) target[name] = value;
  }
}

function foldList(target, list) {
  for (const item of list) {
    const known = typeof item?.index === "number" ? target.find((one) => one.index === item.index && (!item.type || !one.type || one.type === item.type)) : undefined;
    if (known) foldInto(known, item);
    else target.push(structuredClone(item));
  }
  return target;
}

/// Without members that say nothing: null, "", [] and {}, the index of a tool call, and what only one form has.
export function stripped(value) {
  if (Array.isArray(value)) return value.map(stripped);
  if (value === null || typeof value !== "object") return value;
  const kept = {};
  for (const [name, inner] of Object.entries(value)) {
    const simple = stripped(inner);
    const isNothing = simple === null || simple === undefined || simple === "" ||
      (typeof simple === "object" && Object.keys(simple).length === 0);
    if (!isNothing) kept[name] = simple;
  }
  if (kept.function || kept.custom) delete kept.index;
  return kept;
}

/// The stream that an SDK's helper reads: one JSON text a line.
export function readableOf(events) {
  const text = new TextEncoder().encode(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  return new ReadableStream({
    start(controller) {
      controller.enqueue(text);
      controller.close();
    },
  });
}
