#include "api/stream_writer.hpp"

#include "gateway/compat.hpp"

#include <array>
#include <charconv>

namespace larder::api {

using gateway::ClientForm;

void add_cache_lines(std::string& lines, gateway::Outcome outcome, std::int64_t age_s) {
    ((lines += "x-larder-cache: ") += gateway::name_of(outcome)) += "\r\nAge: ";
    std::array<char, 24> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), age_s);
    lines.append(digits.data(), end);
    lines += "\r\n";
}

void add_cache_lines(const Context& context, std::string& lines, gateway::Outcome outcome,
                     std::int64_t age_s) {
    add_cache_lines(lines, outcome, age_s);
    if (context.trace)
        context.trace->add_lines(lines);
    gateway::add_compat_lines(lines, context.settings->gateway->compat, outcome, context.refreshes);
}

namespace {

constexpr std::string_view kKeepAlive = ": keep-alive\n\n";

/// Takes a field of ours out of the lines.
void drop_line(std::string& lines, std::string_view name) {
    const std::size_t begin = lines.find("\r\n" + std::string(name));
    if (begin != std::string::npos)
        lines.erase(begin + 2, lines.find("\r\n", begin + 2) - begin);
}

} // namespace

void add_provider_lines(std::string& lines, const http::OwnedFields& fields, Style style) {
    constexpr std::string_view kOurs = "x-request-id: ";
    for (const auto& [name, value] : fields) {
        std::string_view shown = name;
        if (name == "request-id")
            drop_line(lines, "request-id: ");
        if (name == "x-request-id" && style == Style::kLlm)
            shown = "x-larder-upstream-request-id";
        else if (name == "x-request-id" && lines.starts_with(kOurs))
            lines.replace(0, kOurs.size(), "x-larder-request-id: ");
        (((lines += shown) += ": ") += value) += "\r\n";
    }
}

Task<void> StreamWriter::begin(gateway::Outcome outcome, http::OwnedFields fields) {
    if (std::exchange(begun_, true))
        co_return;
    context_.outcome = gateway::name_of(outcome);
    std::string lines = context_.head_lines;
    add_cache_lines(context_, lines, outcome, 0);
    add_provider_lines(lines, fields, context_.style);
    http::OwnedFields own;
    own.emplace_back("Content-Type", gateway::content_type_of(form_));
    own.emplace_back("Cache-Control", "no-cache");
    co_await context_.exchange.begin_stream(200, std::move(own), lines);
}

Result<bool> StreamWriter::write(std::span<const std::shared_ptr<const gateway::Block>> blocks) {
    http::Exchange& exchange = context_.exchange;
    if (blocks.size() == 1 && goes_as_it_is(*blocks.front())) {
        note(*blocks.front());
        return exchange.write_now(blocks.front()->raw);
    }
    std::string out;
    Result<void> rendered;
    for (const auto& block : blocks) {
        note(*block);
        if (rendered = render(*block, out); !rendered)
            break;
    }
    const bool sent = exchange.write_now(out);
    if (!rendered)
        return std::unexpected(std::move(rendered).error());
    return sent;
}

void StreamWriter::note(const gateway::Block& block) {
    const bool tells = form_ == ClientForm::kLlmStream ? !block.text.empty() : !block.comment;
    told_ = told_ || tells;
    failed_ = failed_ || (block.failure && gateway::is_native(form_));
}

Result<void> StreamWriter::render(const gateway::Block& block, std::string& out) {
    constexpr std::size_t kMostText = 64UL << 20;
    if (goes_as_it_is(block)) {
        out += block.raw;
    } else if (block.comment) {
        out += kKeepAlive;
    } else if (block.failure) {
        return {}; // the flight's end says it in the client's words
    } else if (form_ == ClientForm::kLlmStream) {
        if (text_.size() + block.text.size() > kMostText)
            return fail(ErrorCode::kProviderUnreadable, "the answer is too large");
        text_ += block.text;
        if (!block.text.empty())
            protocol::write_llm_delta(out, block.text);
    } else if (gateway::is_converted(form_)) {
        return convert(block, out);
    }
    return {};
}

bool StreamWriter::goes_as_it_is(const gateway::Block& block) const {
    return gateway::is_native(form_) &&
           (!block.usage_only || form_ == ClientForm::kNativeStreamWithUsage);
}

Result<void> StreamWriter::convert(const gateway::Block& block, std::string& out) {
    if (!converter_)
        converter_ = gateway::make_converter(upstream_, form_);
    events_.clear();
    LARDER_CHECK(decoder_.feed(block.raw, events_));
    for (const http::SseEvent& event : events_)
        LARDER_CHECK(converter_->convert(event, out));
    return {};
}

Task<void> StreamWriter::keep_alive() {
    co_await context_.exchange.write(kKeepAlive);
}

Task<void> StreamWriter::finish(const gateway::FlightEnd& end, bool saved) {
    if (!told_) {
        co_await write_whole(end, saved);
        co_return;
    }
    std::string out;
    if (form_ == ClientForm::kLlmStream)
        protocol::write_llm_done(out,
                                 with_route(gateway::make_llm_reply(*end.entry, text_, saved)));
    else if (converter_)
        converter_->finish(out);
    if (!out.empty())
        co_await context_.exchange.write(out);
}

/// Ends a stream that has shown nothing but comments: with the whole answer, or with the provider's
/// refusal as an error.
Task<void> StreamWriter::write_whole(const gateway::FlightEnd& end, bool saved) {
    if (!end.entry) {
        context_.error_code = name_of(ErrorCode::kProviderRejected);
        co_await context_.exchange.write(
            provider_error_event(context_.style, gateway::is_native(form_), end.provider_status,
                                 end.provider_body, context_.provider, context_.request_id));
        co_return;
    }
    const auto body = gateway::make_body(*end.entry, form_, saved);
    if (!body)
        co_await fail_with(body.error());
    else if (form_ == ClientForm::kLlmStream)
        co_await context_.exchange.write(with_route(*body));
    else
        co_await context_.exchange.write(*body);
}

std::string StreamWriter::with_route(std::string reply) const {
    return context_.trace ? context_.trace->in_metadata(reply) : std::move(reply);
}

Task<void> StreamWriter::fail_with(const Error& error) {
    context_.error_code = name_of(error.code);
    co_await context_.exchange.write(error_event(context_.style, error, context_.request_id));
}

} // namespace larder::api
