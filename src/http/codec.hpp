// HTTP/1.1 heads and bodies from bytes, strictly by RFC 9110 and 9112: Beast parses, http/framing
// refuses what Beast lets through. No sockets, no waiting. One thread at a time.
#pragma once

#include "base/result.hpp"
#include "http/message.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace larder::http {

struct HeadLimits {
    std::size_t bytes = 32UL * 1024;
    std::size_t fields = 100;
};

/// Parses a request head at the start of `input`. Gives its length, or 0 when more bytes are
/// needed. Empty lines before the request line are skipped (RFC 9112, 2.2). kInvalidRequest for
/// what is to be a 400 and closed; kHeadTooLarge for a 431. `scanned` remembers how far an earlier
/// call looked for the end of the head: 0 for a new head.
Result<std::size_t> parse_request_head(std::string_view input, const HeadLimits& limits,
                                       RequestHead& head, std::size_t& scanned);

/// The same for a response; `to_head_request`: the answer has no body whatever its fields say. 1xx
/// heads are given like others (framing kNone).
Result<std::size_t> parse_response_head(std::string_view input, const HeadLimits& limits,
                                        ResponseHead& head, std::size_t& scanned,
                                        bool to_head_request);

/// Takes a body out of its framing, at any cut of the bytes.
class BodyReader {
public:
    explicit BodyReader(BodyFraming framing);
    ~BodyReader();
    BodyReader(BodyReader&&) noexcept;
    BodyReader& operator=(BodyReader&&) noexcept;
    /// Appends what `input` holds of the body to `out` and gives how many bytes of `input` were
    /// used (framing included). Bytes after the end of the body stay unused. kInvalidRequest for
    /// broken framing (a bad chunk size, a bad trailer).
    Result<std::size_t> feed(std::string_view input, std::string& out);
    [[nodiscard]] bool done() const;
    /// The connection has ended: fine for kUntilClose and when done, else kInvalidRequest ("the
    /// body was cut").
    Result<void> end_of_input();

private:
    struct Chunked;
    BodyFraming framing_;
    std::uint64_t left_ = 0;
    bool done_ = false;
    std::unique_ptr<Chunked> chunked_;
};

} // namespace larder::http
