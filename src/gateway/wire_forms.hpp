// The forms in which a client may want an answer, made from an entry once and kept with it. Any
// thread.
#pragma once

#include "base/result.hpp"
#include "cache/entry.hpp"
#include "convert/convert.hpp"
#include "protocol/protocol.hpp"

#include <cstdint>
#include <memory>

namespace larder::gateway {

/// Indexes of Entry's wire forms.
enum class ClientForm : std::uint8_t {
    kLlmPlain = 0,
    kLlmStream = 1,
    kNativePlain = 2,
    kNativeStream = 3, // without OpenAI's usage chunk
    kNativeStreamWithUsage = 4,
    kChatPlain = 5, // OpenAI's chat completions, of a provider that speaks another dialect
    kChatStream = 6,
    kChatStreamWithUsage = 7,
    kMessagesPlain = 8, // Anthropic's messages, likewise
    kMessagesStream = 9,
};

/// What a client of `client` wants of a provider that is asked in `upstream`.
ClientForm form_for(protocol::Dialect client, protocol::Dialect upstream,
                    const protocol::Call& call);
[[nodiscard]] constexpr bool is_stream(ClientForm form) {
    return form != ClientForm::kLlmPlain && form != ClientForm::kNativePlain &&
           form != ClientForm::kChatPlain && form != ClientForm::kMessagesPlain;
}
/// Whether the client gets the provider's own bytes.
[[nodiscard]] constexpr bool is_native(ClientForm form) {
    return form >= ClientForm::kNativePlain && form <= ClientForm::kNativeStreamWithUsage;
}
[[nodiscard]] constexpr bool is_converted(ClientForm form) {
    return form >= ClientForm::kChatPlain;
}
/// Puts a provider's stream into the form of one client, as it comes; only of a converted form.
std::unique_ptr<convert::StreamConverter> make_converter(protocol::Dialect upstream,
                                                         ClientForm form);

/// The answer's text and figures, from either primary form.
Result<protocol::Answer> read_entry(const cache::Entry& entry);

/// The reply in the /llm dialect from an answer that was read already.
std::string make_llm_reply(const cache::Entry& entry, std::string_view text, bool cached);

/// The body of `form`. `cached`: what metadata says in the /llm dialect.
Result<std::string> make_body(const cache::Entry& entry, ClientForm form, bool cached);

/// The kept form of an entry that is served from the cache, made on first need (`made` is set
/// then). kInternal when the entry can't be read.
Result<const cache::WireForm*> wire_form(const cache::Entry& entry, ClientForm form,
                                         bool* made = nullptr);

/// "application/json" or "text/event-stream; charset=utf-8".
std::string_view content_type_of(ClientForm form);

} // namespace larder::gateway
