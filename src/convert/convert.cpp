// The edges that there are.
#include "convert/convert.hpp"

#include "convert/conversation.hpp"
#include "convert/reply.hpp"
#include "protocol/answer.hpp"

namespace larder::convert {
namespace {

using protocol::Cursor;

Result<Conversation> read_request(Dialect from, Cursor root) {
    switch (from) {
    case Dialect::kAnthropicMessages:
        return read_messages(root);
    case Dialect::kLlm:
        return read_llm(root);
    default:
        return read_chat(root);
    }
}

Result<Reply> read_reply(Dialect from, Cursor root) {
    switch (from) {
    case Dialect::kAnthropicMessages:
        return read_messages_reply(root);
    case Dialect::kGemini:
        return read_gemini_reply(root);
    default:
        return read_chat_reply(root);
    }
}

std::unique_ptr<DeltaReader> make_reader(Dialect from) {
    switch (from) {
    case Dialect::kAnthropicMessages:
        return make_messages_reader();
    case Dialect::kGemini:
        return make_gemini_reader();
    default:
        return make_chat_reader();
    }
}

class Converter final : public StreamConverter {
public:
    Converter(std::unique_ptr<DeltaReader> reader, std::unique_ptr<DeltaWriter> writer)
        : reader_(std::move(reader)), writer_(std::move(writer)) {}

    Result<void> convert(const http::SseEvent& event, std::string& out) override {
        deltas_.clear();
        LARDER_CHECK(reader_->read(event, deltas_));
        write(out);
        return {};
    }

    void finish(std::string& out) override {
        deltas_.clear();
        reader_->finish(deltas_);
        write(out);
        writer_->finish(out);
    }

private:
    void write(std::string& out) {
        for (const Delta& delta : deltas_)
            writer_->write(delta, out);
    }

    std::unique_ptr<DeltaReader> reader_;
    std::unique_ptr<DeltaWriter> writer_;
    std::vector<Delta> deltas_;
};

} // namespace

bool can_convert(Dialect from, Dialect to) {
    const bool is_conversation =
        from == Dialect::kOpenAiChat || from == Dialect::kAnthropicMessages;
    if (to == Dialect::kGemini)
        return is_conversation || from == Dialect::kLlm;
    return is_conversation && from != to &&
           (to == Dialect::kOpenAiChat || to == Dialect::kAnthropicMessages);
}

Result<std::string> write_request(Dialect from, const json::Document& body, Dialect to,
                                  const protocol::Call& call, std::string_view model) {
    LARDER_ASSERT(can_convert(from, to));
    LARDER_TRY(Conversation conversation, read_request(from, Cursor(body)));
    conversation.stream = call.stream;
    switch (to) {
    case Dialect::kAnthropicMessages:
        return write_messages(conversation, model);
    case Dialect::kGemini:
        return write_gemini(conversation, model);
    default:
        return write_chat(conversation, model);
    }
}

Result<std::string> write_answer(Dialect from, std::string_view plain_body, Dialect to) {
    const auto document = json::parse(plain_body);
    if (!document)
        return fail(ErrorCode::kProviderUnreadable, document.error().message);
    const Cursor root(*document);
    if (const auto error = root.find_set("error"))
        return protocol::provider_error(*error);
    LARDER_TRY(const Reply reply, read_reply(from, root));
    return to == Dialect::kAnthropicMessages ? write_messages_reply(reply)
                                             : write_chat_reply(reply);
}

std::unique_ptr<StreamConverter> make_stream_converter(Dialect from, Dialect to,
                                                       bool include_usage) {
    return std::make_unique<Converter>(make_reader(from), to == Dialect::kAnthropicMessages
                                                              ? make_messages_writer()
                                                              : make_chat_writer(include_usage));
}

} // namespace larder::convert
