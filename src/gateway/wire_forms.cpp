#include "gateway/wire_forms.hpp"

namespace larder::gateway {
namespace {

using protocol::Dialect;

Dialect dialect_of(const cache::Entry& entry) {
    return static_cast<Dialect>(entry.dialect);
}

/// The reader after the whole kept stream.
Result<std::unique_ptr<protocol::StreamReader>> read_stream(const cache::Entry& entry) {
    auto reader = protocol::make_stream_reader(dialect_of(entry));
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    LARDER_CHECK(decoder.feed(entry.body, events));
    for (const http::SseEvent& event : events) {
        LARDER_CHECK(reader->read(event));
    }
    reader->finish_at_eof();
    return reader;
}

Result<std::string> make_plain(const cache::Entry& entry) {
    if (entry.form == cache::PrimaryForm::kPlain)
        return std::string(entry.body.view());
    LARDER_TRY(const auto reader, read_stream(entry));
    return reader->to_plain();
}

/// The client's dialect of a converted form.
Dialect client_of(ClientForm form) {
    return form == ClientForm::kMessagesPlain || form == ClientForm::kMessagesStream
               ? Dialect::kAnthropicMessages
               : Dialect::kOpenAiChat;
}

Result<std::string> make_converted(const cache::Entry& entry, ClientForm form) {
    LARDER_TRY(const std::string plain, make_plain(entry));
    LARDER_TRY(std::string converted,
               convert::write_answer(dialect_of(entry), plain, client_of(form)));
    if (!is_stream(form))
        return converted;
    return protocol::plain_to_stream(client_of(form), converted,
                                     form == ClientForm::kChatStreamWithUsage);
}

Result<std::string> make_llm_body(const cache::Entry& entry, bool stream, bool cached) {
    LARDER_TRY(const auto answer, read_entry(entry));
    std::string reply = make_llm_reply(entry, answer.text, cached);
    if (!stream)
        return reply;
    std::string events;
    events.reserve(reply.size() + answer.text.size() + 64);
    protocol::write_llm_delta(events, answer.text);
    protocol::write_llm_done(events, reply);
    return events;
}

} // namespace

std::string make_llm_reply(const cache::Entry& entry, std::string_view text, bool cached) {
    return protocol::write_llm_reply(text, {.model = entry.model.view(),
                                            .provider = entry.provider.view(),
                                            .cached = cached,
                                            .usage = entry.usage,
                                            .cost = entry.cost,
                                            .priced = entry.priced,
                                            .finish_reason = entry.finish_reason.view(),
                                            .request_id = {}});
}

ClientForm form_for(Dialect client, Dialect upstream, const protocol::Call& call) {
    if (client == Dialect::kLlm)
        return call.stream ? ClientForm::kLlmStream : ClientForm::kLlmPlain;
    if (client != upstream && client == Dialect::kAnthropicMessages)
        return call.stream ? ClientForm::kMessagesStream : ClientForm::kMessagesPlain;
    if (client != upstream) {
        if (!call.stream)
            return ClientForm::kChatPlain;
        return call.include_usage ? ClientForm::kChatStreamWithUsage : ClientForm::kChatStream;
    }
    if (!call.stream)
        return ClientForm::kNativePlain;
    return call.include_usage ? ClientForm::kNativeStreamWithUsage : ClientForm::kNativeStream;
}

Result<protocol::Answer> read_entry(const cache::Entry& entry) {
    if (entry.form == cache::PrimaryForm::kPlain)
        return protocol::read_answer(dialect_of(entry), entry.body);
    LARDER_TRY(const auto reader, read_stream(entry));
    return reader->answer();
}

Result<std::string> make_body(const cache::Entry& entry, ClientForm form, bool cached) {
    const bool with_usage = form == ClientForm::kNativeStreamWithUsage;
    switch (form) {
    case ClientForm::kLlmPlain:
        return make_llm_body(entry, false, cached);
    case ClientForm::kLlmStream:
        return make_llm_body(entry, true, cached);
    case ClientForm::kNativePlain:
        return make_plain(entry);
    case ClientForm::kNativeStream:
    case ClientForm::kNativeStreamWithUsage:
        if (entry.form == cache::PrimaryForm::kStream)
            return protocol::stream_for_client(dialect_of(entry), entry.body, with_usage);
        return protocol::plain_to_stream(dialect_of(entry), entry.body, with_usage);
    case ClientForm::kChatPlain:
    case ClientForm::kMessagesPlain:
    case ClientForm::kChatStream:
    case ClientForm::kChatStreamWithUsage:
    case ClientForm::kMessagesStream:
        return make_converted(entry, form);
    }
    return fail(ErrorCode::kInternal, "an unknown client form");
}

std::unique_ptr<convert::StreamConverter> make_converter(Dialect upstream, ClientForm form) {
    return convert::make_stream_converter(upstream, client_of(form),
                                          form == ClientForm::kChatStreamWithUsage);
}

std::string_view content_type_of(ClientForm form) {
    return is_stream(form) ? "text/event-stream; charset=utf-8" : "application/json";
}

Result<const cache::WireForm*> wire_form(const cache::Entry& entry, ClientForm form, bool* made) {
    const auto index = static_cast<std::size_t>(form);
    if (const cache::WireForm* kept = entry.wire_form(index))
        return kept;
    auto fresh = std::make_unique<cache::WireForm>();
    LARDER_TRY(fresh->body, make_body(entry, form, true));
    fresh->head = "HTTP/1.1 200 OK\r\nContent-Type: ";
    fresh->head += content_type_of(form);
    if (is_stream(form))
        fresh->head += "\r\nCache-Control: no-cache";
    fresh->head += "\r\nContent-Length: " + std::to_string(fresh->body.size()) + "\r\n";
    if (made != nullptr)
        *made = true;
    return entry.set_wire_form(index, std::move(fresh));
}

} // namespace larder::gateway
