#include "gateway/pass_through.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "gateway/compat.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace larder::gateway {
namespace {

using protocol::Dialect;
using provider::Catalog;
using provider::Provider;

constexpr std::string_view kVersion = "/v1"; // what all paths here begin with
constexpr std::string_view kModels = "/v1/models/";
constexpr std::string_view kProviderField = "x-larder-provider";
constexpr std::string_view kAnthropicVersion = "2023-06-01";

std::unexpected<Error> refuse_path(std::string_view why) {
    return fail(ErrorCode::kInvalidRequest, "this path is not passed on: " + std::string(why));
}

/// RFC 3986, 2.3.
bool is_unreserved(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/// A segment that some server takes for "." or "..": also before its parameters.
bool is_dots(std::string_view segment) {
    const std::string_view name = segment.substr(0, segment.find(';'));
    return name == "." || name == "..";
}

/// An escape that changes what the path is, once or twice decoded.
Result<void> check_escape(std::string_view escape) {
    const std::string decoded = text::percent_decode(escape);
    if (decoded.size() != 1)
        return refuse_path("a percent sign stands there without two digits");
    const char c = decoded.front();
    if (is_unreserved(c))
        return refuse_path("a character is escaped that needs no escape");
    if (c == '/' || c == '\\' || c == '%')
        return refuse_path("it has an escaped slash or percent sign");
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
        return refuse_path("it has a control character");
    return {};
}

Result<void> check_segment(std::string_view segment) {
    if (segment.empty())
        return refuse_path("it has an empty segment");
    if (is_dots(segment))
        return refuse_path("it has a segment of dots");
    for (std::size_t i = 0; i < segment.size(); ++i) {
        const char c = segment[i];
        if (c == '%')
            LARDER_CHECK(check_escape(segment.substr(i, 3)));
        else if (c == '\\' || c == '#' || c <= ' ' || c == 0x7F)
            return refuse_path("it has a character that no path has");
    }
    return {};
}

/// A path has one reading, and that one stays below `/v1`.
Result<void> check_path(std::string_view path) {
    LARDER_ASSERT(path.starts_with("/v1/"));
    for (const std::string_view segment : text::split(path.substr(1), '/'))
        LARDER_CHECK(check_segment(segment));
    return {};
}

/// A model's name may have slashes, escaped or not.
Result<void> check_model(std::string_view id) {
    for (const std::string_view segment : text::split(id, '/')) {
        if (segment.empty() || is_dots(segment))
            return refuse_path("no model is called like this");
    }
    const bool harmless = std::ranges::all_of(id, [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '\\' && c != '%' && c != 0x7F;
    });
    if (!harmless)
        return refuse_path("no model is called like this");
    return {};
}

bool is_json_type(std::string_view content_type) {
    const std::string type =
        text::lower(text::trim(content_type.substr(0, content_type.find(';'))));
    return type == "application/json" || type.ends_with("+json");
}

/// The model that a request names, and where it stands.
struct NamedModel {
    std::string name;
    std::size_t begin = 0; // in the body, with its quotes; 0 and 0: in the path
    std::size_t end = 0;
};

/// What a request says about itself in its body or path.
struct Reading {
    std::optional<NamedModel> model;
    std::optional<std::string> stripped; // the body without what is ours
};

Result<json::Document> parse_body(std::string_view body) {
    constexpr std::uint32_t kMostValues = 500'000; // parsing stops the thread as long as it takes
    auto document = json::parse(body, {.nodes = kMostValues});
    if (!document)
        document.error().code = ErrorCode::kInvalidRequest;
    return document;
}

Result<Reading> read_body(const PassRequest& request) {
    Reading reading;
    LARDER_TRY(auto document, parse_body(request.body));
    if (request.strips_cache) {
        Directives unused; // nothing is cached here
        LARDER_TRY(reading.stripped, take_litellm_cache(document, std::chrono::hours(1), unused));
        if (reading.stripped) {
            LARDER_TRY(document, parse_body(*reading.stripped));
        }
    }
    const auto model = document.root().find("model");
    auto name = model ? model->as_string() : std::nullopt;
    if (name && !name->empty())
        reading.model = NamedModel{*std::move(name), model->begin(), model->end()};
    return reading;
}

Result<Reading> read_request(const PassRequest& request) {
    auto id = model_of_path(request.path);
    const bool is_json =
        !request.body.empty() && is_json_type(request.fields.find("content-type").value_or(""));
    Reading reading;
    if (is_json && (!id || request.strips_cache)) {
        LARDER_TRY(reading, read_body(request));
    }
    if (id)
        reading.model = NamedModel{.name = *std::move(id)};
    return reading;
}

/// The provider that the client names; nullptr: none.
Result<const Provider*> named_provider(const Catalog& catalog, const http::Fields& fields) {
    if (fields.count(kProviderField) == 0)
        return nullptr;
    const std::string name = fields.joined(kProviderField);
    const Provider* const provider = catalog.find(name);
    if (provider == nullptr)
        return fail_field(std::string(kProviderField),
                          "there is no provider of this name; configured: " + catalog.names());
    return provider;
}

/// The first provider of an API.
Result<const Provider*> provider_of_api(const Catalog& catalog, bool anthropic) {
    const Dialect wanted = anthropic ? Dialect::kAnthropicMessages : Dialect::kOpenAiChat;
    const auto found = std::ranges::find(catalog.providers, wanted, &Provider::dialect);
    if (found != catalog.providers.end())
        return &*found;
    return fail(ErrorCode::kNotFound,
                "this path would pass to a provider that speaks " +
                    std::string(anthropic ? "Anthropic's" : "OpenAI's") +
                    " API, and none is configured; configured: " + catalog.names());
}

/// Whether `model` names its provider: then no other one gets the request.
bool names_provider(const Catalog& catalog, std::string_view model) {
    const std::size_t slash = model.find('/');
    return slash != std::string_view::npos && catalog.find(model.substr(0, slash)) != nullptr;
}

/// Models that no rule knows (of images, speech, …) go to the API's first provider that lists none.
Result<provider::Target> target_of_unknown(const Catalog& catalog, const PassRequest& request,
                                           const std::string& model, Error unknown) {
    const Dialect wanted = speaks_anthropic(request.path, request.fields)
                               ? Dialect::kAnthropicMessages
                               : Dialect::kOpenAiChat;
    const auto found = std::ranges::find_if(catalog.providers, [wanted](const Provider& provider) {
        return provider.dialect == wanted && provider.models.empty();
    });
    if (found == catalog.providers.end() || names_provider(catalog, model))
        return std::unexpected(std::move(unknown));
    return provider::Target{.provider = &*found, .model = model};
}

Result<provider::Target> choose(const Catalog& catalog, const PassRequest& request,
                                const std::optional<NamedModel>& model) {
    LARDER_TRY(const Provider* const named, named_provider(catalog, request.fields));
    if (!model && named != nullptr)
        return provider::Target{.provider = named, .model = {}};
    if (!model) {
        LARDER_TRY(const Provider* const first,
                   provider_of_api(catalog, speaks_anthropic(request.path, request.fields)));
        return provider::Target{.provider = first, .model = {}};
    }
    auto target =
        catalog.resolve(named != nullptr ? std::string_view(named->name) : "", model->name);
    if (!target && named == nullptr && target.error().code == ErrorCode::kModelNotFound)
        return target_of_unknown(catalog, request, model->name, std::move(target).error());
    return target;
}

/// OpenAI's base URLs end in the version, Anthropic's don't.
std::string path_below(const Provider& provider, const PassRequest& request,
                       std::string_view model) {
    std::string path(request.path);
    if (const auto id = model_of_path(request.path); id && *id != model)
        path = std::string(kModels) + text::percent_encode(model);
    if (provider.dialect != Dialect::kAnthropicMessages)
        path.erase(0, kVersion.size());
    if (!request.query.empty())
        (path += '?') += request.query;
    return path;
}

/// Whether a field is for this connection alone (RFC 9110, 7.6.1).
bool is_of_connection(const http::Fields& fields, std::string_view name) {
    const std::string named = fields.joined("connection");
    return std::ranges::any_of(text::split(named, ','), [name](std::string_view one) {
        return text::equals_ignoring_case(text::trim(one), name);
    });
}

/// The client's fields that a provider gets: those of its own API, and those that ask for a part of
/// something, for something newer, or for one thing once.
http::OwnedFields fields_for(const Provider& provider, const http::Fields& fields) {
    static constexpr std::array<std::string_view, 3> kOpenAi{"openai-beta", "openai-organization",
                                                             "openai-project"};
    static constexpr std::array<std::string_view, 2> kAnthropic{"anthropic-beta",
                                                                "anthropic-version"};
    static constexpr std::array<std::string_view, 5> kAny{"range", "if-range", "if-none-match",
                                                          "if-modified-since", "idempotency-key"};
    const bool anthropic = provider.dialect == Dialect::kAnthropicMessages;
    http::OwnedFields kept;
    const auto keep = [&](std::span<const std::string_view> names) {
        for (const std::string_view name : names) {
            if (fields.count(name) > 0 && !is_of_connection(fields, name))
                kept.emplace_back(name, fields.joined(name));
            else if (name == "anthropic-version")
                kept.emplace_back(name, kAnthropicVersion);
        }
    };
    keep(anthropic ? std::span<const std::string_view>(kAnthropic) : kOpenAi);
    keep(kAny);
    return kept;
}

std::string patched(std::string_view body, const NamedModel& model, std::string_view name) {
    std::string written;
    json::write_string(written, name);
    json::Patch patch;
    patch.replace(model.begin, model.end, std::move(written));
    return patch.apply(body);
}

PassPlan make_plan(provider::Target target, const PassRequest& request, Reading reading) {
    PassPlan plan{.provider = target.provider, .model = std::move(target.model)};
    plan.path = path_below(*plan.provider, request, plan.model);
    plan.fields = fields_for(*plan.provider, request.fields);
    const auto& model = reading.model;
    plan.body = std::move(reading.stripped);
    if (model && model->end > 0 && model->name != plan.model)
        plan.body = patched(plan.body ? *plan.body : request.body, *model, plan.model);
    plan.content_type = request.fields.find("content-type").value_or("");
    if (!is_of_connection(request.fields, "accept"))
        plan.accept = request.fields.joined("accept");
    if (plan.accept.empty())
        plan.accept = "*/*";
    plan.repeatable = request.method == "GET" || request.method == "HEAD";
    return plan;
}

} // namespace

Result<PassPlan> plan_pass(const Catalog& catalog, const PassRequest& request) {
    if (!request.target.starts_with('/'))
        return refuse_path("it names a host, and hosts come from the configuration alone");
    if (const auto id = model_of_path(request.path))
        LARDER_CHECK(check_model(*id));
    else
        LARDER_CHECK(check_path(request.path));
    LARDER_TRY(auto reading, read_request(request));
    LARDER_TRY(auto target, choose(catalog, request, reading.model));
    if (target.provider->dialect == Dialect::kGemini)
        return fail_field(reading.model ? "model" : std::string(kProviderField),
                          "the provider " + target.provider->name +
                              " speaks Gemini's API, which has no such path");
    return make_plan(std::move(target), request, std::move(reading));
}

Result<PassPlan> plan_count(const Catalog& catalog, const PassRequest& request) {
    LARDER_TRY(auto reading, read_body(request));
    const auto& model = reading.model;
    if (!model)
        return fail_field("model", "model must be given: a string");
    LARDER_TRY(const Provider* const named, named_provider(catalog, request.fields));
    LARDER_TRY(auto target,
               catalog.resolve(named != nullptr ? std::string_view(named->name) : "", model->name));
    if (target.provider->dialect != Dialect::kAnthropicMessages)
        return fail_field("model", "the provider of this model, " + target.provider->name +
                                       ", counts no tokens: Anthropic's API does");
    PassPlan plan = make_plan(std::move(target), request, std::move(reading));
    plan.content_type = "application/json";
    plan.repeatable = true;
    return plan;
}

bool speaks_anthropic(std::string_view path, const http::Fields& fields) {
    return fields.count("anthropic-version") > 0 || path == "/v1/messages" ||
           path.starts_with("/v1/messages/") || path == "/v1/complete";
}

std::optional<std::string> model_of_path(std::string_view path) {
    if (!path.starts_with(kModels) || path.size() == kModels.size())
        return std::nullopt;
    return text::percent_decode(path.substr(kModels.size()));
}

} // namespace larder::gateway
