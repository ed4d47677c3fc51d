// What an answer means, whatever dialect it came in: whole, or piece by piece. Pure.
#pragma once

#include "base/result.hpp"
#include "http/sse.hpp"
#include "llm/usage.hpp"
#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::convert {

enum class PartKind : std::uint8_t { kText, kThinking, kRedactedThinking, kToolCall, kRefusal };

/// Why an answer ended.
enum class End : std::uint8_t { kStop, kStopSequence, kLength, kToolCalls, kRefused, kPause };

struct ReplyPart {
    PartKind kind = PartKind::kText;
    std::string text;      // kToolCall: the arguments, JSON text
    std::string signature; // of thinking
    std::string id;        // of a tool call
    std::string name;
};

struct Reply {
    std::string id;
    std::string model;
    std::vector<ReplyPart> parts;
    End end = End::kStop;
    std::string stop_sequence;
    std::optional<llm::Usage> usage;
};

/// A step of a stream. Parts come one after the other: one ends before the next begins.
struct Delta {
    enum class Kind : std::uint8_t {
        kStart,     // id, model, perhaps usage of the prompt
        kPartBegin, // kind, id and name of part `index`
        kPartText,  // more of its text, arguments or opaque data
        kSignature, // of a thinking part, whole
        kPartEnd,
        kEnd,   // why it ended
        kUsage, // the whole usage
    };
    Kind kind = Kind::kStart;
    std::size_t index = 0; // of the part, counted from 0 in order of appearance
    PartKind part = PartKind::kText;
    std::string text;
    std::string id;
    std::string name;
    std::string model;
    End end = End::kStop;
    std::string stop_sequence;
    std::optional<llm::Usage> usage;
};

/// Reads a provider's stream into deltas. One thread at a time.
class DeltaReader {
public:
    virtual ~DeltaReader() = default;
    /// Appends what the event says. kProviderUnreadable; kProviderRejected for an error event.
    virtual Result<void> read(const http::SseEvent& event, std::vector<Delta>& out) = 0;
    /// Appends what ends the parts and the answer where the provider's stream says it nowhere.
    virtual void finish(std::vector<Delta>& out) = 0;
};
std::unique_ptr<DeltaReader> make_chat_reader();
std::unique_ptr<DeltaReader> make_messages_reader();
std::unique_ptr<DeltaReader> make_gemini_reader();

/// Writes deltas as the events of a client's dialect. One thread at a time.
class DeltaWriter {
public:
    virtual ~DeltaWriter() = default;
    virtual void write(const Delta& delta, std::string& out) = 0;
    virtual void finish(std::string& out) = 0;
};
std::unique_ptr<DeltaWriter> make_chat_writer(bool include_usage);
std::unique_ptr<DeltaWriter> make_messages_writer();

/// Whole answers. kProviderUnreadable.
Result<Reply> read_chat_reply(protocol::Cursor root);
Result<Reply> read_messages_reply(protocol::Cursor root);
Result<Reply> read_gemini_reply(protocol::Cursor root);
std::string write_chat_reply(const Reply& reply);
std::string write_messages_reply(const Reply& reply);

} // namespace larder::convert
