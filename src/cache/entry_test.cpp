// Tests of the entry: byte form (whole, cut, hostile), wire forms under threads, labels, size.
#include "cache/entry.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace larder::cache {
namespace {

std::shared_ptr<Entry> full_entry() {
    auto entry = std::make_shared<Entry>();
    entry->created_ms = 1'700'000'000'000;
    entry->fresh_until_ms = 1'700'003'600'000;
    entry->stale_until_ms = std::numeric_limits<std::int64_t>::max();
    entry->name_space = "tenant-a";
    entry->provider = "openai";
    entry->model = "gpt-4o-mini";
    entry->answer_model = "gpt-4o-mini-2024-07-18";
    entry->finish_reason = "stop";
    entry->content_type = "application/json";
    entry->generations = {1, 2, std::numeric_limits<std::uint64_t>::max()};
    entry->usage = {10, 20, 30, 40, 50, 5, true};
    entry->cost = {-7};
    entry->priced = false;
    entry->dialect = 3;
    entry->form = PrimaryForm::kStream;
    entry->body = std::string("data: {\"a\":\"\\u0000\"}\n\n\0", 23);
    return entry;
}

void expect_equal(const Entry& a, const Entry& b) {
    EXPECT_EQ(a.created_ms, b.created_ms);
    EXPECT_EQ(a.fresh_until_ms, b.fresh_until_ms);
    EXPECT_EQ(a.stale_until_ms, b.stale_until_ms);
    EXPECT_EQ(a.name_space.view(), b.name_space.view());
    EXPECT_EQ(a.provider.view(), b.provider.view());
    EXPECT_EQ(a.model.view(), b.model.view());
    EXPECT_EQ(a.answer_model.view(), b.answer_model.view());
    EXPECT_EQ(a.finish_reason.view(), b.finish_reason.view());
    EXPECT_EQ(a.content_type.view(), b.content_type.view());
    EXPECT_EQ(a.generations, b.generations);
    EXPECT_EQ(a.usage.input, b.usage.input);
    EXPECT_EQ(a.usage.cached_input, b.usage.cached_input);
    EXPECT_EQ(a.usage.cache_write, b.usage.cache_write);
    EXPECT_EQ(a.usage.cache_write_1h, b.usage.cache_write_1h);
    EXPECT_EQ(a.usage.output, b.usage.output);
    EXPECT_EQ(a.usage.reasoning, b.usage.reasoning);
    EXPECT_EQ(a.usage.exact, b.usage.exact);
    EXPECT_EQ(a.cost.picodollars, b.cost.picodollars);
    EXPECT_EQ(a.priced, b.priced);
    EXPECT_EQ(a.dialect, b.dialect);
    EXPECT_EQ(a.form, b.form);
    EXPECT_EQ(a.body, b.body);
}

/// In a heap block of its own size, so that a read past the end is seen by the sanitizer.
Result<EntryPtr> decode_copy(std::string_view bytes) {
    const std::vector<char> copy(bytes.begin(), bytes.end());
    return decode_entry({copy.data(), copy.size()});
}

TEST(Entry, ComesBackFromItsBytesUnchanged) {
    const auto entry = full_entry();
    const auto decoded = decode_copy(encode_entry(*entry));
    ASSERT_TRUE(decoded);
    expect_equal(*entry, **decoded);
    EXPECT_EQ(encode_entry(**decoded), encode_entry(*entry));
}

TEST(Entry, ComesBackWhenItIsEmpty) {
    const Entry entry;
    const auto decoded = decode_copy(encode_entry(entry));
    ASSERT_TRUE(decoded);
    expect_equal(entry, **decoded);
}

TEST(Entry, StartsWithItsFormat) {
    EXPECT_EQ(encode_entry(Entry())[0], 1);
}

TEST(Entry, RefusesEveryTruncation) {
    const auto bytes = encode_entry(*full_entry());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto decoded = decode_copy(std::string_view(bytes).substr(0, size));
        ASSERT_FALSE(decoded) << size;
        EXPECT_EQ(decoded.error().code, ErrorCode::kStore);
    }
}

TEST(Entry, RefusesBytesAfterItsEnd) {
    EXPECT_FALSE(decode_copy(encode_entry(*full_entry()) + '\0'));
}

TEST(Entry, RefusesAnotherFormat) {
    auto bytes = encode_entry(*full_entry());
    for (int format = 0; format < 256; ++format) {
        bytes[0] = static_cast<char>(format);
        EXPECT_EQ(decode_copy(bytes).has_value(), format == 1);
    }
}

TEST(Entry, RefusesFlagsAndFormsThatItDoesNotKnow) {
    auto bytes = encode_entry(*full_entry());
    bytes[2] = 2;
    EXPECT_FALSE(decode_copy(bytes));
    bytes[2] = 1;
    bytes[3] = 4;
    EXPECT_FALSE(decode_copy(bytes));
}

TEST(Entry, RefusesLengthsThatLie) {
    const auto bytes = encode_entry(*full_entry());
    const std::size_t first_length = 4 + 13 * 8;
    for (const std::uint64_t length :
         {std::uint64_t{0xffffffffffffffff}, std::uint64_t{1} << 63, std::uint64_t{1} << 32,
          static_cast<std::uint64_t>(bytes.size())}) {
        auto lying = bytes;
        for (std::size_t i = 0; i < 8; ++i)
            lying[first_length + i] = static_cast<char>(length >> (8 * i) & 0xff);
        EXPECT_FALSE(decode_copy(lying)) << length;
    }
}

TEST(Entry, SurvivesAnyByteBeingWrong) {
    const auto bytes = encode_entry(*full_entry());
    std::mt19937 random(20261124);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto damaged = bytes;
        damaged[at] = static_cast<char>(random());
        if (const auto decoded = decode_copy(damaged)) {
            // What is taken must have one byte form only.
            EXPECT_EQ(encode_entry(**decoded), damaged);
        }
    }
}

TEST(Entry, KeepsTheFirstWireFormOfEachKind) {
    const auto entry = full_entry();
    EXPECT_EQ(entry->wire_form(0), nullptr);
    const auto* first = entry->set_wire_form(0, std::make_unique<WireForm>("head", "first"));
    const auto* second = entry->set_wire_form(0, std::make_unique<WireForm>("head", "second"));
    const auto* other = entry->set_wire_form(7, std::make_unique<WireForm>("head", "other"));
    EXPECT_EQ(first, second);
    EXPECT_EQ(first->body, "first");
    EXPECT_EQ(entry->wire_form(0), first);
    EXPECT_EQ(entry->wire_form(7), other);
    EXPECT_EQ(entry->wire_form(3), nullptr);
}

TEST(Entry, GivesAllThreadsTheSameWireForm) {
    for (int round = 0; round < 50; ++round) {
        const EntryPtr entry = full_entry();
        std::array<std::array<const WireForm*, Entry::kForms>, 4> seen{};
        {
            std::vector<std::jthread> threads;
            for (auto& mine : seen)
                threads.emplace_back([&] {
                    for (std::size_t form = 0; form < Entry::kForms; ++form) {
                        mine[form] = entry->set_wire_form(
                            form, std::make_unique<WireForm>("head", std::to_string(form)));
                        EXPECT_EQ(entry->wire_form(form), mine[form]);
                    }
                });
        }
        for (const auto& mine : seen)
            EXPECT_EQ(mine, seen[0]);
        EXPECT_EQ(seen[0][5]->body, "5");
    }
}

TEST(Entry, CountsItsBytes) {
    auto entry = std::make_shared<Entry>();
    const auto empty = entry->bytes();
    EXPECT_GE(empty, sizeof(Entry));
    EXPECT_LE(empty, 260U); // 100,000 entries of 2 KB must fit in 300 MB
    entry->body = std::string(2048, 'x');
    EXPECT_GE(entry->bytes(), empty + 2048);
    EXPECT_LE(entry->bytes(), empty + 2048 + 32);

    EXPECT_EQ(entry->wire_form_bytes(), 0U);
    const auto* form = entry->set_wire_form(
        1, std::make_unique<WireForm>(std::string(100, 'h'), std::string(3000, 'b')));
    EXPECT_GE(entry->wire_form_bytes(), 3100U);
    EXPECT_EQ(entry->wire_form_bytes(), Entry::bytes_of(*form));
}

TEST(Label, SharesEqualTexts) {
    const Label first(std::string_view("gpt-4o-mini-2024-07-18"));
    const Label second(std::string("gpt-4o-mini-2024-07-18"));
    EXPECT_EQ(first, second);
    EXPECT_EQ(first.view().data(), second.view().data());
    EXPECT_EQ(first.own_bytes(), 0U);
}

TEST(Label, ReadsAsTextHoweverItWasMade) {
    EXPECT_TRUE(Label().empty());
    EXPECT_TRUE(Label("").empty());
    EXPECT_EQ(Label(), Label(""));
    const std::string long_text(70'000, 'x');
    Label label = long_text;
    EXPECT_EQ(label, long_text);
    EXPECT_GE(label.own_bytes(), long_text.size()); // too long to be remembered
    const std::string text = label;
    EXPECT_EQ(text, long_text);
    Label moved = std::move(label);
    label = "again";
    EXPECT_EQ(label, "again");
    EXPECT_EQ(moved, long_text);
    moved = moved.view().substr(0, 1);
    EXPECT_EQ(moved, "x");
}

TEST(Label, OutlivesTheThreadThatMadeIt) {
    Label label;
    std::jthread([&] { label = Label("made elsewhere"); }).join();
    EXPECT_EQ(label, "made elsewhere");
}

TEST(Label, IsRightAlsoWhenManyTextsShareTheTable) {
    std::vector<Label> labels;
    for (int i = 0; i < 1000; ++i)
        labels.emplace_back("label-" + std::to_string(i));
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(labels[static_cast<std::size_t>(i)], "label-" + std::to_string(i));
}

} // namespace
} // namespace larder::cache
