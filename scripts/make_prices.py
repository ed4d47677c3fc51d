#!/usr/bin/env python3
"""Makes src/llm/prices.json, the built-in price file, from a list of published prices.

    scripts/make_prices.py model_prices.json --on 2026-11-24 > src/llm/prices.json

The list gives US dollars per token; the price file gives dollars per million tokens, as vendors publish
them. Only what Larder prices is taken over. `--on` is the day whose prices count where a change is announced.
"""
import argparse
import json
import re
from decimal import Decimal

CLASSES = {
    "input": "input",
    "output": "output",
    "cached_input": "cached_input",
    "cache_write": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "output_reasoning": "reasoning",
}

# Where two published lists disagree; a figure with `uncertain` is shown as such.
UNCERTAIN = {
    "anthropic/claude-sonnet-5",
    "deepseek/deepseek-chat", "deepseek/deepseek-reasoner", "deepseek/deepseek-v3.2",
    "groq/gemma-7b-it", "groq/openai/gpt-oss-safeguard-20b",
    "mistral/codestral-latest", "mistral/ministral-8b-latest", "mistral/mistral-embed", "mistral/mistral-large-2407",
    "mistral/mistral-large-latest", "mistral/mistral-medium", "mistral/mistral-medium-2312",
    "mistral/mistral-medium-2604", "mistral/mistral-medium-3-5", "mistral/mistral-medium-latest",
    "mistral/mistral-small-latest", "mistral/open-mistral-nemo", "mistral/open-mistral-nemo-2407",
    "openai/gpt-4o-2024-05-13",
}
# Four of Gemini's previews disagree and aren't named: all of them count as uncertain.
UNCERTAIN_PATTERN = re.compile(r"gemini/.*preview.*")
# Known to be wrong (no price for output): no price is better than that one.
WRONG = {"gemini/gemini-1.5-flash"}


def per_million(dollars_per_token):
    """The exact decimal of a price per token, per million tokens, without trailing zeros."""
    price = Decimal(repr(dollars_per_token)) * 10**6
    if price * 10**6 != (price * 10**6).to_integral_value():
        raise SystemExit(f"{dollars_per_token} dollars a token is finer than a picodollar")
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rates(entry, vendor):
    entry = dict(entry)
    uncertain = False
    # Anthropic's published rule: a write that lives one hour costs twice the input.
    if vendor == "anthropic" and "cache_write" in entry and entry.get("cache_write_1h") != 2 * entry["input"]:
        uncertain = "cache_write_1h" in entry
        entry["cache_write_1h"] = 2 * entry["input"]
    return [(ours, per_million(entry[theirs])) for theirs, ours in CLASSES.items() if theirs in entry], uncertain


def convert(name, entry, day):
    vendor = name.split("/")[0]
    if "later" in entry and entry["later"]["from"] <= day:
        entry = {**entry, **entry["later"]}
    fields = [("mode", json.dumps(entry["mode"]))]
    base, is_corrected = rates(entry, vendor)
    fields += base
    for bound in sorted(key for key in entry if re.fullmatch(r"above_\d+k", key)):
        long_rates, _ = rates(entry[bound], vendor)
        inner = [("above", str(int(bound[6:-1]) * 1000))] + long_rates
        fields.append(("long_prompt", "{" + ", ".join(f'"{key}": {value}' for key, value in inner) + "}"))
    fields += [(key, str(entry[key])) for key in ("context", "max_output") if key in entry]
    if is_corrected or name in UNCERTAIN or UNCERTAIN_PATTERN.fullmatch(name):
        fields.append(("uncertain", "true"))
    return f'    {json.dumps(name)}: {{' + ", ".join(f'"{key}": {value}' for key, value in fields) + "}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="the list of published prices")
    parser.add_argument("--on", required=True, metavar="YYYY-MM-DD", help="the day whose prices count")
    arguments = parser.parse_args()
    with open(arguments.source, encoding="utf-8") as file:
        source = json.load(file)
    models = {name: entry for name, entry in source["models"].items()
              if name not in WRONG and (entry["input"] or entry["output"])}
    missing = UNCERTAIN - set(models)
    if missing:
        raise SystemExit("not in the list: " + ", ".join(sorted(missing)))
    about = (f"US dollars per million tokens as of {source['source']['as_of']}, with changes announced for "
             f"{arguments.on} and before; made by scripts/make_prices.py")
    print("{")
    print(f'  "about": {json.dumps(about)},')
    print('  "models": {')
    print(",\n".join(convert(name, models[name], arguments.on) for name in sorted(models)))
    print("  }")
    print("}")


if __name__ == "__main__":
    main()
