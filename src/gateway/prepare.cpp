// From a client's request to the effective upstream request and its key.
#include "gateway/prepare.hpp"

#include "base/text.hpp"
#include "convert/convert.hpp"
#include "gateway/compat.hpp"

#include <algorithm>
#include <set>

namespace larder::gateway {
namespace {

using protocol::Dialect;

constexpr std::string_view kAnthropicVersion = "2023-06-01";

std::string_view api_name(Dialect dialect) {
    if (dialect == Dialect::kLlm)
        return "llm";
    return dialect == Dialect::kAnthropicMessages ? "anthropic" : "openai";
}

bool matches(const CacheRule& rule, Dialect dialect, const protocol::Call& call,
             std::string_view model) {
    if (!rule.api.empty() && rule.api != api_name(dialect))
        return false;
    if (!rule.model.empty() && !text::matches_glob(rule.model, model))
        return false;
    if (rule.temperature_above &&
        !(call.has_temperature && call.temperature > *rule.temperature_above))
        return false;
    if (rule.temperature_equal &&
        !(call.has_temperature && call.temperature == *rule.temperature_equal))
        return false;
    return !rule.tools || *rule.tools == call.has_tools;
}

void apply_rules(Prepared& prepared, Dialect dialect) {
    const Directives& directives = prepared.directives;
    const CacheConfig& cache = prepared.settings->cache;
    prepared.ttl = cache.ttl;
    RuleMode mode = RuleMode::kOn;
    for (std::size_t i = 0; i < cache.rules.size(); ++i) {
        const CacheRule& rule = cache.rules[i];
        if (matches(rule, dialect, prepared.call, prepared.target.model)) {
            prepared.rule = i;
            mode = rule.mode;
            prepared.ttl = rule.ttl.value_or(cache.ttl);
            break;
        }
    }
    if (directives.ttl)
        prepared.ttl = *directives.ttl;
    const bool cacheable = cache.enabled && prepared.call.bypass.empty() &&
                           mode != RuleMode::kOff && !directives.no_store;
    prepared.may_join = cacheable;
    prepared.may_keep = cacheable && mode == RuleMode::kOn && prepared.ttl.count() > 0;
    prepared.may_read = cacheable && mode == RuleMode::kOn && !directives.no_cache;
}

/// The client's fields mean something to a provider of its own API only.
http::OwnedFields upstream_fields(Dialect upstream, const Inquiry& inquiry) {
    http::OwnedFields fields;
    if (upstream == inquiry.dialect)
        fields = inquiry.forwarded;
    if (upstream == Dialect::kAnthropicMessages) {
        const bool has_version = std::ranges::any_of(
            fields, [](const auto& field) { return field.first == "anthropic-version"; });
        if (!has_version)
            fields.emplace_back("anthropic-version", kAnthropicVersion);
    }
    return fields;
}

std::string upstream_path(const Prepared& prepared, const Inquiry& inquiry, std::string_view model,
                          bool stream) {
    std::string path = protocol::path_of(prepared.dialect, model, stream);
    if (!inquiry.query.empty() && prepared.dialect == inquiry.dialect)
        (path += '?') += inquiry.query;
    return path;
}

} // namespace

std::unexpected<Error> has_no(const provider::Provider& provider, Dialect dialect) {
    return fail_field("model", "the provider of this model, " + provider.name + ", has no " +
                                   std::string(protocol::name_of(dialect)));
}

llm::FingerprintBuilder begin_key(const Prepared& prepared, const Inquiry& inquiry) {
    const Settings& settings = *prepared.settings;
    llm::FingerprintBuilder key;
    key.add("prefix", settings.cache.prefix);
    if (settings.cache.scope != ShareScope::kGlobal)
        key.add("namespace", inquiry.name_space);
    if (settings.cache.scope == ShareScope::kUser)
        key.add("user", inquiry.user);
    const std::string& deployment = prepared.target.deployment;
    if (deployment.empty())
        key.add("upstream", prepared.target.provider->cache_identity);
    else
        key.add("deployment", deployment);
    key.add("method", "POST");
    key.add("path", upstream_path(prepared, inquiry,
                                  deployment.empty() ? prepared.target.model : deployment, false));
    for (const auto& [name, value] : prepared.upstream_fields)
        key.add(name, value);
    if (!prepared.directives.variant.empty())
        key.add("variant", prepared.directives.variant);
    for (const KeyPart& part : prepared.directives.key_parts)
        key.add(part.name, part.value);
    if (prepared.directives.bucket > 0)
        key.add("helicone-cache-bucket", std::to_string(prepared.directives.bucket));
    return key;
}

Result<json::Document> parse_body(std::string_view text) {
    constexpr std::uint32_t kMostValues =
        500'000; // parsing stops the thread for as long as it takes
    auto parsed = json::parse(text, {.nodes = kMostValues});
    if (!parsed)
        parsed.error().code = ErrorCode::kInvalidRequest; // also nesting beyond what is read
    return parsed;
}

Result<void> take_body_directives(Prepared& prepared, json::Document& body, std::string& stripped) {
    if (!prepared.settings->compat.litellm)
        return {};
    LARDER_TRY(auto rest,
               take_litellm_cache(body, prepared.settings->cache.ttl_max, prepared.directives));
    prepared.has_body_directives = rest.has_value();
    if (rest) {
        stripped = *std::move(rest);
        LARDER_TRY(body, parse_body(stripped));
    }
    return {};
}

void set_way(Prepared& prepared, const Inquiry& inquiry, std::int64_t now_ms) {
    prepared.upstream_path =
        upstream_path(prepared, inquiry, prepared.target.model, prepared.call.stream);
    prepared.upstream_fields = upstream_fields(prepared.dialect, inquiry);
    prepared.name_space = inquiry.name_space;
    prepared.looked_up_ms = now_ms;
    if (prepared.directives.max_age_s)
        prepared.not_before_ms = now_ms - *prepared.directives.max_age_s * 1000;
    apply_rules(prepared, inquiry.dialect);
}

namespace {

/// The request in the dialect of its provider.
Result<std::string> upstream_body(const Prepared& prepared, const Inquiry& inquiry,
                                  const json::Document& body) {
    const Dialect from = inquiry.dialect;
    const Dialect to = prepared.dialect;
    const std::string& model = prepared.target.model;
    if (from == to || (from == Dialect::kLlm && to != Dialect::kGemini))
        return protocol::write_request(from, body, to, prepared.call, model,
                                       prepared.target.provider->ask_usage);
    if (convert::can_convert(from, to))
        return convert::write_request(from, body, to, prepared.call, model);
    return has_no(*prepared.target.provider, from);
}

/// The members of the body that its canonical form leaves out.
std::vector<std::string> ignored_members(json::Value effective_body,
                                         const json::Document& canonical) {
    std::set<std::string, std::less<>> counted;
    canonical.root().for_each_member([&](std::string_view name, json::Value) {
        counted.emplace(name);
        return true;
    });
    std::vector<std::string> ignored;
    effective_body.for_each_member([&](std::string_view name, json::Value) {
        if (!counted.contains(name))
            ignored.emplace_back(name);
        return true;
    });
    return ignored;
}

/// The effective body as all targets of one deployment have it, whatever each calls the model.
Result<std::string> shared_body(const Prepared& prepared) {
    LARDER_TRY(const json::Document effective, json::parse(prepared.upstream_body));
    json::Patch patch;
    std::string name;
    json::write_string(name, prepared.target.deployment);
    if (const auto model = effective.root().find("model"))
        patch.replace(model->begin(), model->end(), std::move(name));
    return patch.apply(prepared.upstream_body);
}

Result<llm::Fingerprint> make_key(const Prepared& prepared, const Inquiry& inquiry,
                                  json::Value effective_body, KeyContents* contents) {
    llm::FingerprintBuilder key = begin_key(prepared, inquiry);
    protocol::add_to_fingerprint(key, prepared.dialect, effective_body);
    if (contents != nullptr) {
        contents->parts = key.parts();
        LARDER_TRY(const json::Document canonical, json::parse(contents->parts.back().second));
        contents->ignored = ignored_members(effective_body, canonical);
    }
    return key.finish();
}

} // namespace

Result<void> read_request(RequestReading& reading, std::shared_ptr<const Settings> settings,
                          const Inquiry& inquiry) {
    LARDER_TRY(reading.body, parse_body(inquiry.body));
    Prepared& base = reading.base;
    base.settings = std::move(settings);
    base.directives = inquiry.directives;
    LARDER_CHECK(take_body_directives(base, reading.body, reading.stripped));
    LARDER_TRY(base.call, protocol::read_call(inquiry.dialect, reading.body));
    return {};
}

Result<Prepared> Gateway::aim(const RequestReading& reading, const Inquiry& inquiry,
                              provider::Target target, KeyContents* contents) const {
    const json::Document& body = reading.body;
    Prepared prepared = reading.base;
    prepared.target = std::move(target);
    const provider::Provider& provider = *prepared.target.provider;
    if (prepared.call.bypass.empty()) // also for a model behind a name of the operator's own
        prepared.call.bypass = protocol::bypass_reason_of_model(prepared.target.model);
    prepared.dialect = protocol::upstream_dialect(inquiry.dialect, provider.dialect);
    LARDER_TRY(prepared.upstream_body, upstream_body(prepared, inquiry, body));
    prepared.form = form_for(inquiry.dialect, prepared.dialect, prepared.call);
    set_way(prepared, inquiry, parts_.clock.epoch_ms());
    if (!prepared.may_join && contents == nullptr)
        return prepared;
    prepared.generations = generations_of(prepared.name_space, prepared.target.model);
    // The client's own document serves as the effective one unless more was changed than what the
    // key leaves out.
    if (!prepared.target.deployment.empty()) {
        LARDER_TRY(const std::string shared, shared_body(prepared));
        LARDER_TRY(const json::Document effective, json::parse(shared));
        LARDER_TRY(prepared.key, make_key(prepared, inquiry, effective.root(), contents));
    } else if (inquiry.dialect == prepared.dialect &&
               prepared.call.model == prepared.target.model) {
        LARDER_TRY(prepared.key, make_key(prepared, inquiry, body.root(), contents));
    } else {
        LARDER_TRY(const json::Document effective, json::parse(prepared.upstream_body));
        LARDER_TRY(prepared.key, make_key(prepared, inquiry, effective.root(), contents));
    }
    prepared.epoch = parts_.epochs.of(prepared.key);
    return prepared;
}

Result<Prepared> Gateway::prepare(std::shared_ptr<const Settings> settings, const Inquiry& inquiry,
                                  KeyContents* contents) const {
    RequestReading reading;
    LARDER_CHECK(read_request(reading, std::move(settings), inquiry));
    const protocol::Call& call = reading.base.call;
    LARDER_TRY(provider::Target target,
               reading.base.settings->catalog.resolve(call.provider, call.model));
    return aim(reading, inquiry, std::move(target), contents);
}

} // namespace larder::gateway
