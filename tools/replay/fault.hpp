// Faults that a request asks for by its model's name (or a header), so that they survive a gateway
// that forwards only what it must. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::replay {

enum class FaultKind : std::uint8_t {
    kStatus,        // fault-500, fault-429-retry-after-1, fault-503-retry-after-ms-20-times-2: an
                    // error in the API's own shape; after so many times the answer
    kHang,          // fault-hang: never a byte
    kSlowFirstByte, // fault-slow-first-byte-2000: that many ms before the first byte
    kCutHead,       // fault-cut-head: the connection ends before a byte
    kCutBody,       // fault-cut-body: it ends within a plain body
    kCutStream,     // fault-cut-stream: it ends within a stream
    kEndStream,     // fault-end-stream: a stream that ends in order but without its last event
    kStall,         // fault-stall: half a stream, then silence
    kErrorEvent,    // fault-error-event: an error event within a stream of status 200
    kGarbage,       // fault-garbage: 200 and bytes that are no JSON
    kHalfJson,      // fault-half-json: 200 and the first half of an answer
    kContentType,   // fault-content-type: 200 and a web page
    kEchoKey,       // fault-echo-key: 401 with the caller's key in the message
    kFlaky,         // fault-flaky-2: 500 twice, then the answer
    kHuge,          // fault-huge-100000: an answer of that many bytes of text
    kTrickle,       // fault-trickle: byte by byte
    kNoUsage,       // fault-no-usage: an answer without usage
    kFinish,        // fault-finish-content_filter: an answer that ended for that reason
    kEmpty,         // fault-empty: an answer without text
    kGate,          // fault-gate…: waits before the first byte until it is released
    kGateMiddle,    // fault-middle-gate…: sends half of a stream, then waits until it is released
};

struct Fault {
    FaultKind kind = FaultKind::kStatus;
    std::uint64_t number = 0;                 // the status, milliseconds, times or bytes
    std::optional<std::uint32_t> retry_after; // seconds
    std::optional<std::uint32_t> retry_after_ms;
    std::optional<std::uint64_t> times; // none: always
    std::string word;                   // the finish reason
};

/// Reads "fault-…"; nullopt for every other name, and for a fault that doesn't exist.
std::optional<Fault> parse_fault(std::string_view name);

} // namespace larder::replay
