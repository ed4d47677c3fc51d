// What the hand-written exchanges of tests/made_exchanges.py say: `expected` of the settings.
import { settings } from "./common.mjs";

export const { TEXT, RECORD, ARGUMENTS } = settings.expected;

const parameters = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const weather = parameters({ city: { type: "string" }, unit: { type: "string", enum: ["°C", "°F"] } });

/// The declared tools, as OpenAI and as Anthropic have them.
export const tools = [
  { type: "function", function: { name: "weather", description: "The weather in a city", parameters: weather } },
  { type: "function", function: { name: "clock", description: "The time", parameters: parameters({}) } },
];
export const anthropicTools = tools.map(({ function: { name, description, parameters: input_schema } }) => ({ name, description, input_schema }));
