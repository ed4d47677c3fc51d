// Reads the events of Anthropic's messages and puts the plain message together. Usage reports are
// cumulative and meet member by member; a delta of an unknown type is joined into its block.
#include "protocol/answer.hpp"
#include "protocol/repeated_event.hpp"
#include "protocol/tree.hpp"

namespace larder::protocol {

namespace {

struct Block {
    std::int64_t index = 0;
    Tree members = Tree::object();
    std::string input;   // the JSON of a tool's input, as far as it has come
    bool is_cut = false; // some of the input was forgotten
};

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's stream can't be read: " + std::string(reason));
}

class AnthropicStreamReader final : public StreamReader {
public:
    Result<std::string> read(const http::SseEvent& event) override;
    void finish_at_eof() override {}
    [[nodiscard]] const Answer& answer() const override { return answer_; }
    void forget_content() override;
    [[nodiscard]] std::string to_plain() const override;

private:
    Result<std::string> read_event(std::string_view type, Cursor root);
    std::string add_piece(std::string_view piece);
    void learn(std::string_view data, Cursor root);
    Result<void> start_message(Cursor root);
    Result<std::string> start_block(Cursor root);
    Result<std::string> read_delta(Cursor root);
    void read_message_delta(Cursor root);
    void add_usage(Cursor usage);
    Block* block_of(Cursor root);
    void end();

    Answer answer_;
    Tree message_; // null before message_start
    std::vector<Block> blocks_;
    RepeatedEvent repeated_; // a delta that adds to this member of that block
    std::string repeated_member_;
    std::size_t repeated_block_ = 0;
    bool is_late_ = false; // something was said behind the reason to stop
};

constexpr std::size_t kMostBlocks = 4096;

Result<std::string> AnthropicStreamReader::read(const http::SseEvent& event) {
    if (answer_.ended || event.data.empty() || event.data == "[DONE]")
        return std::string();
    if (const auto piece = event.name != "error" ? repeated_.match(event.data) : std::nullopt)
        return add_piece(*piece);
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    const auto error = root.find_set("error");
    if (error || event.name == "error")
        return provider_error(error.value_or(root));
    const auto type = root.find("type");
    if (!type || !type->is_string())
        return unreadable("an event has no type");
    auto text = read_event(type->string(), root);
    if (text && type->equals("content_block_delta") && answer_.finish_reason.empty())
        learn(event.data, root);
    return text;
}

/// What `read_delta` does with a piece that is known to need no unescaping.
std::string AnthropicStreamReader::add_piece(std::string_view piece) {
    Block& block = blocks_[repeated_block_];
    if (repeated_member_ == "partial_json") {
        block.input += piece;
        return {};
    }
    block.members.at(repeated_member_).text += piece;
    if (repeated_member_ != "text")
        return {};
    answer_.text += piece;
    return std::string(piece);
}

void AnthropicStreamReader::learn(std::string_view data, Cursor root) {
    repeated_.forget();
    const Block* block = block_of(root);
    const auto delta = root.find("delta");
    if (block == nullptr || delta->size() != 2)
        return;
    for (const Member& member : delta->members()) {
        const bool joins =
            member.name == "text" || member.name == "thinking" || member.name == "partial_json";
        if (!joins || !member.value.is_string())
            continue;
        const Tree* whole = block->members.find(member.name);
        const Tree* type = block->members.find("type");
        const bool is_text = type != nullptr && type->text == "\"text\"";
        const bool is_tree = whole != nullptr && whole->kind == Tree::Kind::kText;
        if (member.name != "partial_json" && (!is_tree || (member.name == "text" && !is_text)))
            return;
        repeated_member_ = member.name;
        repeated_block_ = static_cast<std::size_t>(block - blocks_.data());
        repeated_.learn(data, member.value.characters(), {});
    }
}

Result<std::string> AnthropicStreamReader::read_event(std::string_view type, Cursor root) {
    if (type == "message_start") {
        LARDER_CHECK(start_message(root));
        return std::string();
    }
    if (type == "ping")
        return std::string();
    if (message_.is_null())
        return unreadable("it does not begin with message_start");
    is_late_ = is_late_ || (type.starts_with("content_block_") && type != "content_block_stop" &&
                            !answer_.finish_reason.empty());
    if (type == "content_block_start")
        return start_block(root);
    if (type == "content_block_delta")
        return read_delta(root);
    if (type == "message_delta")
        read_message_delta(root);
    else if (type == "message_stop")
        end();
    return std::string();
}

Result<void> AnthropicStreamReader::start_message(Cursor root) {
    const auto message = root.find("message");
    if (!message || !message->is_object() || !message_.is_null())
        return unreadable("message_start has no message, or comes twice");
    message_ = Tree::object();
    for (const Member& member : message->members()) {
        Tree& kept = message_.at(member.name);
        if (member.name == "content")
            continue; // the blocks stand in its place
        kept.merge(member.value, Merge::kLast);
        if (member.name == "id")
            answer_.id = member.value.string();
        else if (member.name == "model")
            answer_.model = member.value.string();
    }
    message_.at("content");
    if (const auto usage = message->find_set("usage"))
        add_usage(*usage);
    return {};
}

void AnthropicStreamReader::add_usage(Cursor usage) {
    Tree& kept = message_.at("usage");
    kept.merge(usage, Merge::kLast);
    std::string written;
    kept.write(written);
    if (const auto document = json::parse(written))
        answer_.usage = anthropic_usage(Cursor(*document));
}

Block* AnthropicStreamReader::block_of(Cursor root) {
    const auto index = root.find("index");
    if (!index || !index->is(json::Kind::kNumber))
        return nullptr;
    for (std::size_t i = blocks_.size(); i > 0; --i) { // most often the last
        if (blocks_[i - 1].index == index->count())
            return &blocks_[i - 1];
    }
    return nullptr;
}

Result<std::string> AnthropicStreamReader::start_block(Cursor root) {
    const auto index = root.find("index");
    const auto block = root.find("content_block");
    if (!index || !index->is(json::Kind::kNumber) || !block || !block->is_object() ||
        block_of(root) != nullptr)
        return unreadable("content_block_start has no block or no index of its own");
    if (blocks_.size() == kMostBlocks)
        return unreadable("it has too many blocks");
    blocks_.emplace_back().index = index->count();
    blocks_.back().members.merge(*block, Merge::kDelta);
    std::string text;
    const auto type = block->find("type");
    if (type && type->equals("text")) {
        if (const auto start = block->find("text"))
            start->append_string(text);
        answer_.text += text;
    } else if (type && type->equals("tool_use")) {
        answer_.has_tool_call = true;
    }
    return text;
}

Result<std::string> AnthropicStreamReader::read_delta(Cursor root) {
    Block* block = block_of(root);
    const auto delta = root.find("delta");
    if (block == nullptr || !delta || !delta->is_object())
        return unreadable("content_block_delta belongs to no block");
    std::string text;
    for (const Member& member : delta->members()) {
        if (member.name == "type")
            continue;
        if (member.name == "partial_json") {
            member.value.append_string(block->input);
        } else if (member.name == "citation") {
            Tree& citations = block->members.at("citations");
            if (citations.kind != Tree::Kind::kArray)
                citations = Tree{.kind = Tree::Kind::kArray, .text = {}};
            citations.elements.push_back(Tree::raw(member.value.raw()));
        } else {
            block->members.at(member.name).merge(member.value, Merge::kDelta, member.name);
        }
        const auto* type = block->members.find("type");
        if (member.name == "text" && type != nullptr && type->text == "\"text\"")
            member.value.append_string(text);
    }
    answer_.text += text;
    return text;
}

void AnthropicStreamReader::read_message_delta(Cursor root) {
    for (const Member& member : root.members()) {
        if (member.name == "type")
            continue;
        if (member.name == "usage") {
            add_usage(member.value);
        } else if (member.name == "delta") {
            for (const Member& change : member.value.members())
                message_.at(change.name).merge(change.value, Merge::kLast);
            const auto reason = member.value.find("stop_reason");
            if (reason && reason->is_non_empty_string()) {
                answer_.finish_reason = reason->string();
                repeated_.forget();
            }
        } else {
            message_.at(member.name).merge(member.value, Merge::kLast);
        }
    }
    answer_.finish = anthropic_finish(answer_.finish_reason);
}

void AnthropicStreamReader::forget_content() {
    repeated_.forget();
    forget_text(answer_);
    for (Block& block : blocks_) {
        const Tree* type = block.members.find("type");
        Tree rest = Tree::object();
        if (type != nullptr)
            rest.at("type") = *type;
        block.members = std::move(rest);
        block.is_cut = block.is_cut || !block.input.empty();
        block.input = {};
    }
}

void AnthropicStreamReader::end() {
    answer_.ended = true;
    if (is_late_)
        answer_.finish = worse_of(answer_.finish, Finish::kUnknown);
    for (Block& block : blocks_) {
        if (block.input.empty() || block.is_cut)
            continue;
        if (json::parse(block.input))
            block.members.at("input") = Tree::raw(block.input);
        else
            answer_.finish = Finish::kUnknown; // an input that was cut has no plain form
    }
}

std::string AnthropicStreamReader::to_plain() const {
    std::string out = "{";
    for (const TreeMember& member : message_.members) {
        if (out.size() > 1)
            out += ',';
        json::write_string(out, member.name);
        out += ':';
        if (member.name != "content") {
            member.value.write(out);
            continue;
        }
        out += '[';
        for (const Block& block : blocks_) {
            if (&block != blocks_.data())
                out += ',';
            block.members.write(out);
        }
        out += ']';
    }
    out += '}';
    return out;
}

} // namespace

std::unique_ptr<StreamReader> make_anthropic_stream_reader() {
    return std::make_unique<AnthropicStreamReader>();
}

} // namespace larder::protocol
