// Ends of flights as bytes: each kind comes back as it was, and no damaged bytes do.
#include "gateway/flight_wire.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace larder::gateway {
namespace {

FlightEnd whole_answer() {
    FlightEnd end;
    auto entry = std::make_shared<cache::Entry>();
    entry->asked_ms = 1'700'000'000'123;
    entry->created_ms = 1'700'000'000'456;
    entry->model = "gpt-4o";
    entry->form = cache::PrimaryForm::kStream;
    entry->body = "data: {}\n\ndata: [DONE]\n\n";
    end.entry = std::move(entry);
    end.provider_fields = {{"request-id", "req_1"}, {"x-larder-upstream-request-id", "abc"}};
    return end;
}

FlightEnd rejection() {
    FlightEnd end;
    end.provider_status = 429;
    end.provider_content_type = "application/json";
    end.provider_body = R"({"error":{"message":"slow down"}})";
    end.provider_fields = {{"retry-after", "7"}};
    return end;
}

FlightEnd failure(ErrorCode code) {
    FlightEnd end;
    end.error = Error{.code = code, .message = "provider openai: it went wrong", .detail = "x"};
    return end;
}

/// From a heap block of exactly the bytes' size, so that a sanitizer sees a look beyond it.
Result<SharedEnd> decode_copy(std::string_view bytes) {
    const std::vector<char> copy(bytes.begin(), bytes.end());
    return decode_end({copy.data(), copy.size()});
}

TEST(FlightWire, AWholeAnswerComesBackWithItsEntryAndFields) {
    const auto back = decode_copy(encode_end(shared_end(whole_answer(), true)));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->kind, SharedEnd::Kind::kEntry);
    EXPECT_TRUE(back->kept);
    EXPECT_TRUE(back->terminated);
    EXPECT_EQ(back->entry->asked_ms, 1'700'000'000'123);
    EXPECT_EQ(back->entry->created_ms, 1'700'000'000'456);
    EXPECT_EQ(back->entry->body, "data: {}\n\ndata: [DONE]\n\n");
    EXPECT_EQ(back->fields, whole_answer().provider_fields);
}

TEST(FlightWire, WhatWasNotKeptSaysSo) {
    const auto back = decode_copy(encode_end(shared_end(whole_answer(), false)));
    ASSERT_TRUE(back);
    EXPECT_FALSE(back->kept);
}

TEST(FlightWire, AProvidersRefusalIsEverybodys) {
    const auto back = decode_copy(encode_end(shared_end(rejection(), false)));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->kind, SharedEnd::Kind::kRejection);
    EXPECT_EQ(back->status, 429);
    EXPECT_EQ(back->content_type, "application/json");
    EXPECT_EQ(back->body, rejection().provider_body);
}

TEST(FlightWire, AProvidersFailureIsEverybodysAndOursIsNot) {
    const auto theirs =
        decode_copy(encode_end(shared_end(failure(ErrorCode::kProviderUnavailable), false)));
    ASSERT_TRUE(theirs);
    EXPECT_EQ(theirs->kind, SharedEnd::Kind::kError);
    EXPECT_EQ(theirs->error.code, ErrorCode::kProviderUnavailable);
    EXPECT_EQ(theirs->error.message, "provider openai: it went wrong");
    for (const ErrorCode code :
         {ErrorCode::kCancelled, ErrorCode::kOverloaded, ErrorCode::kInternal}) {
        const auto ours = decode_copy(encode_end(shared_end(failure(code), false)));
        ASSERT_TRUE(ours);
        EXPECT_EQ(ours->kind, SharedEnd::Kind::kMine);
    }
}

TEST(FlightWire, AStreamThatWasTooLongIsNotShared) {
    FlightEnd end = whole_answer();
    end.truncated = true;
    EXPECT_EQ(shared_end(end, false).kind, SharedEnd::Kind::kTooLarge);
}

TEST(FlightWire, NoPieceOfAnEndIsAnEnd) {
    for (const FlightEnd& end :
         {whole_answer(), rejection(), failure(ErrorCode::kProviderUnreadable)}) {
        const std::string bytes = encode_end(shared_end(end, true));
        for (std::size_t size = 0; size < bytes.size(); ++size)
            EXPECT_FALSE(decode_copy(std::string_view(bytes).substr(0, size))) << size;
        EXPECT_FALSE(decode_copy(bytes + "x"));
    }
}

TEST(FlightWire, NoFlippedByteBreaksTheReader) {
    const std::string bytes = encode_end(shared_end(whole_answer(), true));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (const int bit : {0, 3, 7}) {
            std::string damaged = bytes;
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
            const auto back = decode_copy(damaged);
            if (back && back->kind == SharedEnd::Kind::kEntry) {
                EXPECT_NE(back->entry, nullptr);
            }
        }
    }
}

TEST(FlightWire, NothingGetsIntoAReplysHeadFromAnotherNode) {
    FlightEnd end = whole_answer();
    end.provider_fields = {{"request-id", "a\r\nset-cookie: b"}};
    EXPECT_FALSE(decode_copy(encode_end(shared_end(end, true))));
    end = rejection();
    end.provider_content_type = "text/html\r\nx: y";
    EXPECT_FALSE(decode_copy(encode_end(shared_end(end, true))));
    end = rejection();
    end.provider_status = 200;
    EXPECT_FALSE(decode_copy(encode_end(shared_end(end, true))));
}

} // namespace
} // namespace larder::gateway
