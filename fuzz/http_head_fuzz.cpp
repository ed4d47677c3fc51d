// Feeds any bytes to the codec as a request, or as a response: a head and then its body, whole and
// cut in two. Both ways must end alike, and what is accepted must hold what framing promises.
#include "http/codec.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace {

using namespace larder;
using Kind = http::BodyFraming::Kind;

struct Input {
    std::string_view bytes;
    std::size_t cut;
};

struct Outcome {
    bool is_refused = false;
    std::size_t head_bytes = 0;
    std::string head;
    std::string body;
    std::size_t body_bytes = 0;
    bool is_done = false;

    bool operator==(const Outcome&) const = default;
};

/// Bytes in a heap block of their own.
struct Piece {
    explicit Piece(std::string_view bytes)
        : size(bytes.size()), block(std::make_unique<char[]>(bytes.size())) {
        bytes.copy(block.get(), size);
    }
    [[nodiscard]] std::string_view view() const { return {block.get(), size}; }
    std::size_t size;
    std::unique_ptr<char[]> block;
};

bool lies_in(std::string_view view, const std::string& bytes) {
    return view.empty() || (view.data() >= bytes.data() &&
                            view.data() + view.size() <= bytes.data() + bytes.size());
}

template <class Head> void check_fields(const Head& head) {
    for (const http::Field& field : head.fields) {
        LARDER_ASSERT(!field.name.empty() && lies_in(field.name, head.bytes));
        LARDER_ASSERT(lies_in(field.value, head.bytes));
        LARDER_ASSERT(field.name.find_first_of(" \t:\r\n") == std::string_view::npos);
        for (const char c : field.value)
            LARDER_ASSERT((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t');
    }
    if (head.framing.kind == Kind::kChunked)
        LARDER_ASSERT(head.minor_version == 1 && head.fields.count("content-length") == 0 &&
                      head.fields.count("transfer-encoding") == 1);
    if (head.framing.kind == Kind::kLength)
        LARDER_ASSERT(head.fields.count("content-length") == 1 &&
                      head.fields.count("transfer-encoding") == 0);
}

Result<std::size_t> parse(std::string_view bytes, http::RequestHead& head, std::size_t& scanned) {
    return http::parse_request_head(bytes, {.bytes = 2048, .fields = 20}, head, scanned);
}

Result<std::size_t> parse(std::string_view bytes, http::ResponseHead& head, std::size_t& scanned) {
    return http::parse_response_head(bytes, {.bytes = 2048, .fields = 20}, head, scanned, false);
}

void check(const http::RequestHead& head) {
    check_fields(head);
    LARDER_ASSERT(head.framing.kind != Kind::kUntilClose);
    LARDER_ASSERT(head.minor_version == 0 || head.fields.count("host") == 1);
    LARDER_ASSERT(head.path == "*" || head.path.starts_with('/'));
    LARDER_ASSERT(lies_in(head.target, head.bytes) && lies_in(head.host, head.bytes) &&
                  lies_in(head.query, head.bytes));
}

void check(const http::ResponseHead& head) {
    check_fields(head);
    LARDER_ASSERT(head.status >= 100 && head.status <= 599);
}

/// The body behind the head, fed in two pieces.
void read_body(const http::BodyFraming& framing, const Input& rest, Outcome& outcome) {
    http::BodyReader reader(framing);
    for (const std::string_view bytes :
         {rest.bytes.substr(0, rest.cut), rest.bytes.substr(rest.cut)}) {
        const Piece piece(bytes);
        const auto used = reader.feed(piece.view(), outcome.body);
        if (!used) {
            outcome.is_refused = true;
            return;
        }
        LARDER_ASSERT(*used == bytes.size() || reader.done());
        outcome.body_bytes += *used;
    }
    outcome.is_done = reader.done();
    LARDER_ASSERT(outcome.body.size() <= outcome.body_bytes);
    LARDER_ASSERT(reader.end_of_input().has_value() ==
                  (outcome.is_done || framing.kind == Kind::kUntilClose));
}

template <class Head> Outcome run(const Input& input) {
    Outcome outcome;
    Head head;
    std::size_t scanned = 0;
    Result<std::size_t> length = 0;
    for (const std::size_t size : {input.cut, input.bytes.size()}) {
        const Piece piece(input.bytes.substr(0, size));
        length = parse(piece.view(), head, scanned);
        if (!length) {
            outcome.is_refused = true;
            return outcome;
        }
        if (*length > 0)
            break;
    }
    outcome.head_bytes = *length;
    if (*length == 0)
        return outcome;
    check(head);
    outcome.head = head.bytes;
    const std::string_view rest = input.bytes.substr(*length);
    read_body(head.framing, {rest, input.cut % (rest.size() + 1)}, outcome);
    return outcome;
}

template <class Head> void run_both_ways(const Input& input) {
    const Outcome whole = run<Head>({input.bytes, 0});
    Outcome cut = run<Head>(input);
    if (whole.is_refused || cut.is_refused) {
        LARDER_ASSERT(whole.is_refused == cut.is_refused);
        return;
    }
    LARDER_ASSERT(whole == cut);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    // The first byte says which side, the second where to cut; the rest is what the peer sent.
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const Input input{bytes, data[1] * (bytes.size() + 1) / 256};
    if ((data[0] & 1U) == 0)
        run_both_ways<http::RequestHead>(input);
    else
        run_both_ways<http::ResponseHead>(input);
    return 0;
}
