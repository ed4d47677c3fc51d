// A self-signed certificate for localhost and 127.0.0.1, made by the openssl command, which tests
// also trust as an authority.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace larder::testing {

/// The files live as long as this; while it lives, SSL_CERT_FILE names the certificate.
class TestCertificate {
public:
    TestCertificate() {
        std::string directory =
            (std::filesystem::temp_directory_path() / "certificate-XXXXXX").string();
        if (::mkdtemp(directory.data()) == nullptr)
            std::abort();
        directory_ = directory;
        const std::string command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
            key() + " -out " + certificate() + " 2>/dev/null";
        if (std::system(command.c_str()) != 0) // NOLINT: the command is the test's own
            std::abort();
        ::setenv("SSL_CERT_FILE", certificate().c_str(), 1);
    }
    ~TestCertificate() {
        ::unsetenv("SSL_CERT_FILE");
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    TestCertificate(const TestCertificate&) = delete;
    TestCertificate& operator=(const TestCertificate&) = delete;
    [[nodiscard]] std::string certificate() const { return directory_ + "/certificate.pem"; }
    [[nodiscard]] std::string key() const { return directory_ + "/key.pem"; }
    [[nodiscard]] std::string directory() const { return directory_; }

private:
    std::string directory_;
};

} // namespace larder::testing
