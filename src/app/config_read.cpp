// A configuration from a file's text and the environment.
#include "app/config_schema.hpp"

#include "base/text.hpp"

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace larder::app {

namespace {

constexpr std::size_t kPriceFileMax = 16U << 20;

/// The whole of a file of at most `most` bytes; the Error says what was wrong, without the path.
Result<std::string> read_file(const std::string& path, std::size_t most) {
    std::error_code code;
    if (std::filesystem::is_directory(path, code))
        return fail(ErrorCode::kNotFound, "is a directory");
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
        return fail(ErrorCode::kNotFound, "can't be opened");
    std::string text(most + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad())
        return fail(ErrorCode::kNotFound, "can't be read");
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most)
        return fail(ErrorCode::kTooLarge, "is over " + std::to_string(most >> 20) + " MiB");
    return text;
}

/// Whether keys are in use must be known before they are read: an unset variable in a login that
/// isn't in use is no mistake.
bool uses_keys(const YamlNode& root) {
    const YamlNode* auth = root.find("auth");
    const YamlNode* mode = auth == nullptr ? nullptr : auth->find("mode");
    return mode != nullptr && mode->scalar == "keys";
}

void finish_server(ConfigReader& reader, Draft& draft) {
    ServerConfig& server = draft.config.server;
    if (draft.tls_certificate.value.empty() != draft.tls_key.value.empty())
        reader.mistake_at(std::max(draft.tls_certificate.line, draft.tls_key.line), "server.tls",
                          "needs both certificate and key");
    server.tls_certificate = draft.tls_certificate.value;
    server.tls_key = draft.tls_key.value;
    const auto port_text = reader.variable("PORT");
    if (!port_text || port_text->empty() || server.listen_from_file)
        return;
    unsigned port = 0;
    const char* const last = port_text->data() + port_text->size();
    const auto [end, error] = std::from_chars(port_text->data(), last, port);
    if (error != std::errc() || end != last || port > 65535)
        return reader.environment_mistake("PORT", "must be a number from 0 to 65535");
    server.listen = "[::]:" + std::to_string(port);
}

void finish_auth(ConfigReader& reader, Draft& draft) {
    Config& config = draft.config;
    if (draft.auth.value == AuthChoice::kJwt)
        reader.mistake_at(draft.auth.line, "auth.mode",
                          "jwt is not supported by this version; use open or keys");
    if (draft.auth.value == AuthChoice::kKeys) {
        config.auth_mode = AuthMode::kKeys;
        if (config.keys.empty())
            reader.mistake_at(draft.auth.line, "auth.mode",
                              "keys needs at least one key under auth.keys");
    } else if (!config.keys.empty()) {
        config.warnings.push_back("auth.keys is set, but with auth.mode: open everybody may ask");
    }
}

void finish_log(const ConfigReader& reader, bool terminal, Draft& draft) {
    const bool production = reader.variable("NODE_ENV").value_or("") == "production";
    const LogFormat by_default = terminal && !production ? LogFormat::kPretty : LogFormat::kJson;
    draft.config.log_format = draft.log_format.value_or(by_default);
}

void load_prices(ConfigReader& reader, Draft& draft) {
    llm::PriceTable& prices = draft.config.catalog.prices;
    if (const auto built_in = prices.load(llm::built_in_prices()); !built_in)
        reader.mistake_at(0, "the built-in prices", built_in.error().message);
    const Given<std::string>& file = draft.prices_file;
    if (file.value.empty())
        return;
    const auto text = read_file(file.value, kPriceFileMax);
    if (!text)
        return reader.mistake_at(file.line, "prices.file", file.value + " " + text.error().message);
    if (const auto loaded = prices.load(*text); !loaded)
        reader.mistake_at(file.line, "prices.file", file.value + ": " + loaded.error().message);
}

} // namespace

Result<Config> read_config(std::string_view yaml, std::string_view file_name,
                           const Environment& environment) {
    std::vector<YamlMistake> mistakes;
    const YamlNode root = read_yaml(yaml, mistakes);
    ConfigReader reader(file_name, environment);
    reader.add_mistakes(mistakes);
    Draft draft;
    draft.uses_keys = uses_keys(root);
    choose_store(root, environment, draft);
    reader.read_map(root, file_keys(), draft);
    finish_server(reader, draft);
    finish_auth(reader, draft);
    finish_store(reader, draft);
    finish_log(reader, environment.terminal, draft);
    load_prices(reader, draft);
    finish_providers(reader, draft);
    if (reader.has_mistakes())
        return std::unexpected(reader.error());
    return std::move(draft.config);
}

Result<Config> load_config_file(const std::optional<std::string>& path,
                                const Environment& environment) {
    const std::string name = path.value_or("larder.yaml");
    std::error_code code;
    if (!path && !std::filesystem::exists(name, code))
        return read_config("", name, environment);
    const auto text = read_file(name, kYamlBytesMax);
    if (!text)
        return fail(text.error().code, name + ": " + text.error().message);
    return read_config(*text, name, environment);
}

} // namespace larder::app
