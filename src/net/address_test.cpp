// Addresses in all their spellings, hostile ones too, and who the client is behind proxies.
#include "net/address.hpp"

#include <gtest/gtest.h>

#include <random>

namespace larder::net {
namespace {

std::string canonical(std::string_view text) {
    const auto address = parse_address(text);
    return address ? to_text(*address) : "refused";
}

TEST(Address, IsReadInAllSpellings) {
    const std::pair<std::string_view, std::string_view> table[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"192.0.2.1:443", "192.0.2.1"},
        {"192.0.2.1:0", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"fe80::1%eth0", "fe80::1"},
        {"[fe80::1%25eth0]:80", "fe80::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:8080", "192.0.2.1"},
        {"::ffff:192.0.2.1%eth0", "192.0.2.1"},
        {"64:ff9b::192.0.2.1", "192.0.2.1"},
        {"64:ff9b::c000:201", "192.0.2.1"},
        {"64:ff9b:1::c000:201", "64:ff9b:1::c000:201"}, // RFC 8215: a network's own, not this one
        {"::fffe:192.0.2.1", "::fffe:c000:201"},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(canonical(text), expected) << text;
}

TEST(Address, RefusesEverythingElse) {
    using namespace std::string_view_literals;
    const std::string_view table[] = {
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:000080",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.4/32",
        "1.2.3.4%eth0",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[]",
        "[",
        ":",
        ":::",
        "::1::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "::g",
        "::1%",
        "%eth0",
        "::1.2.3",
        "::1.2.3.4.5",
        "1.2.3.4\0"sv,
        "1.2.3.4\0evil"sv,
        "\xff\xfe",
        "[[::1]]",
        "\"1.2.3.4\"",
    };
    for (const std::string_view text : table)
        EXPECT_EQ(canonical(text), "refused") << text;
    EXPECT_EQ(canonical(std::string(100'000, '1')), "refused");
    EXPECT_EQ(canonical(std::string(100'000, ':')), "refused");
    EXPECT_EQ(canonical("fe80::1%" + std::string(100'000, 'z')), "refused");
}

TEST(Address, SurvivesRandomBytesInFreshBlocks) {
    std::mt19937 random(7);
    constexpr std::string_view kAlphabet = "0123456789abcdef:.[]%/,\" x";
    for (int i = 0; i < 50'000; ++i) {
        std::vector<char> text(random() % 24);
        for (char& c : text)
            c = kAlphabet[random() % kAlphabet.size()];
        const auto address = parse_address({text.data(), text.size()});
        if (address)
            EXPECT_EQ(canonical(to_text(*address)), to_text(*address));
        (void)parse_network({text.data(), text.size()});
    }
}

TEST(Address, KnowsLoopback) {
    for (const auto* text : {"127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1"})
        EXPECT_TRUE(parse_address(text)->is_loopback()) << text;
    for (const auto* text : {"128.0.0.1", "0.0.0.0", "::", "::2", "7f00::1", "100::1"})
        EXPECT_FALSE(parse_address(text)->is_loopback()) << text;
}

TEST(LimitSubject, IsTheAddressOrTheSixtyFourOfIt) {
    const std::pair<std::string_view, std::string_view> table[] = {
        {"192.0.2.1:99", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"64:ff9b::192.0.2.1", "192.0.2.1"},
        {"2001:db8:0:1:aaaa:bbbb:cccc:dddd", "2001:db8:0:1::/64"},
        {"2001:db8:0:1::5", "2001:db8:0:1::/64"},
        {"2001:db8::5", "2001:db8::/64"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
        {"fe80::1%eth7", "fe80::/64"},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(limit_subject(*parse_address(text)), expected) << text;
}

TEST(Network, ContainsWhatItsPrefixSays) {
    struct Row {
        std::string_view network;
        std::string_view address;
        bool inside;
    };
    const Row table[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/8", "10.9.9.9", true},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1/32", "::ffff:192.0.2.1", true},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "8.8.8.8", false},
        {"::1/128", "::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::ffff:10.0.0.0/104", "10.2.3.4", true},
        {"::ffff:10.0.0.0/104", "11.2.3.4", false},
    };
    for (const Row& row : table)
        EXPECT_EQ(parse_network(row.network)->contains(*parse_address(row.address)), row.inside)
            << row.network << " " << row.address;
}

TEST(Network, RefusesMalformedOnes) {
    for (const auto* text :
         {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/+8",
          "10.0.0.0/08000", "::1/129", "10.0.0/8", "[::1]/128", "10.0.0.0:80/8",
          "::ffff:10.0.0.0/8", "example.com", "fe80::1%e/64"})
        EXPECT_FALSE(parse_network(text)) << text;
}

std::string client(std::string_view peer, std::string_view forwarded,
                   std::initializer_list<const char*> trusted) {
    std::vector<Network> networks;
    for (const char* text : trusted)
        networks.push_back(*parse_network(text));
    return to_text(client_address(*parse_address(peer), forwarded, networks));
}

TEST(ClientAddress, IsThePeerUnlessThePeerIsTrusted) {
    EXPECT_EQ(client("198.51.100.7", "203.0.113.9", {}), "198.51.100.7");
    EXPECT_EQ(client("198.51.100.7", "203.0.113.9", {"10.0.0.0/8"}), "198.51.100.7");
    EXPECT_EQ(client("10.0.0.1", "", {"10.0.0.0/8"}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", " , ,", {"10.0.0.0/8"}), "10.0.0.1");
}

TEST(ClientAddress, IsTheRightmostThatIsNotTrusted) {
    EXPECT_EQ(client("10.0.0.1", "203.0.113.9", {"10.0.0.0/8"}), "203.0.113.9");
    EXPECT_EQ(client("::ffff:10.0.0.1", "203.0.113.9", {"10.0.0.0/8"}), "203.0.113.9");
    // What the client wrote itself stands on the left and is never believed.
    EXPECT_EQ(client("10.0.0.1", "1.1.1.1, 127.0.0.1, 203.0.113.9", {"10.0.0.0/8"}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1", "10.9.9.9, 203.0.113.9", {"10.0.0.0/8"}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1", "1.1.1.1,203.0.113.9,10.0.0.3 ,\t10.0.0.2", {"10.0.0.0/8"}),
              "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1", "1.1.1.1,, 203.0.113.9:4711,", {"10.0.0.0/8"}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1", "[2001:db8::7]:443, 192.0.2.5", {"10.0.0.0/8", "192.0.2.5"}),
              "2001:db8::7");
}

TEST(ClientAddress, IsTheLeftmostWhenAllAreTrusted) {
    EXPECT_EQ(client("10.0.0.1", "10.0.0.3, 10.0.0.2", {"10.0.0.0/8"}), "10.0.0.3");
}

TEST(ClientAddress, StopsAtWhatIsNoAddress) {
    EXPECT_EQ(client("10.0.0.1", "203.0.113.9, unknown", {"10.0.0.0/8"}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", "203.0.113.9, _secret, 10.0.0.2", {"10.0.0.0/8"}), "10.0.0.2");
    EXPECT_EQ(client("10.0.0.1", "203.0.113.9; 10.0.0.2", {"10.0.0.0/8"}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", std::string(30'000, 'x'), {"10.0.0.0/8"}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", std::string(30'000, ','), {"10.0.0.0/8"}), "10.0.0.1");
}

} // namespace
} // namespace larder::net
