// Gathers the threads' log buffers and writes them. Lines wait at most 50 ms; a buffer of a thread
// holds at most 1 MB: what comes beyond that is counted and dropped, so that a stuck reader stops
// nobody. While nothing is logged the writer sleeps. Any thread.
#include "base/log_writer.hpp"

#include "base/result.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace larder::log {

namespace {

constexpr std::chrono::milliseconds kGatherEvery{50};
constexpr std::chrono::seconds kStuckReader{2};
constexpr std::size_t kWakeBytes = 64 * 1024;
constexpr std::size_t kBufferBytesMax = 1024 * 1024;
constexpr std::size_t kKeptCapacity = 256 * 1024;

struct Buffer {
    std::mutex mutex;
    std::string bytes;
    std::uint64_t dropped = 0; // lines since the last gathering
    bool has_ended = false;    // its thread is gone
};

/// One run of the writer, from start() to stop(). Shared with its thread, which may be left behind
/// by a reader that is stuck.
struct Run {
    explicit Run(int to) : fd(to) {}

    const int fd;
    std::atomic<std::uint64_t> written = 0;
    std::atomic<bool> is_left_behind = false;
    std::mutex mutex;
    std::condition_variable wake; // of the writer
    std::condition_variable passed;
    bool is_urgent = false;
    bool is_stopping = false;
    bool is_done = false;
    std::uint64_t asked = 0;    // flushes
    std::uint64_t answered = 0; // flushes that were asked before a gathering which is now written
    std::thread thread;
};

struct State {
    std::atomic<Level> level = Level::kInfo;
    std::atomic<Format> format = Format::kJson;
    std::atomic<bool> is_running = false;
    std::atomic<bool> has_lines = false; // since the last gathering
    std::atomic<std::uint64_t> dropped = 0;
    std::mutex mutex; // of what follows; never taken while a buffer's mutex is held
    std::vector<std::shared_ptr<Buffer>> buffers;
    std::shared_ptr<Run> run;
    std::mutex direct; // of lines written to stderr at once
};

/// Never destroyed: threads may log until the process ends.
State& state() {
    static State* const kept = new State;
    return *kept;
}

/// Writes all, or gives up on an error: then the rest is lost.
bool write_all(int fd, std::string_view bytes, std::atomic<std::uint64_t>& written) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            written += static_cast<std::uint64_t>(count);
        } else if (errno == EAGAIN) {
            pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&waiting, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void write_directly(std::string_view line) {
    std::atomic<std::uint64_t> written = 0;
    const std::lock_guard lock(state().direct);
    write_all(STDERR_FILENO, line, written);
}

/// Moves what all buffers hold into `gathered`; gives how many lines they had to drop.
std::uint64_t gather(std::string& gathered) {
    std::vector<std::shared_ptr<Buffer>> buffers;
    {
        const std::lock_guard lock(state().mutex);
        buffers = state().buffers;
    }
    std::uint64_t dropped = 0;
    std::vector<std::shared_ptr<Buffer>> ended;
    for (const auto& buffer : buffers) {
        const std::lock_guard lock(buffer->mutex);
        gathered += buffer->bytes;
        buffer->bytes.clear();
        if (buffer->bytes.capacity() > kKeptCapacity)
            buffer->bytes = std::string();
        dropped += std::exchange(buffer->dropped, 0);
        if (buffer->has_ended)
            ended.push_back(buffer);
    }
    if (!ended.empty()) {
        const std::lock_guard lock(state().mutex);
        std::erase_if(state().buffers, [&](const auto& buffer) {
            return std::ranges::find(ended, buffer) != ended.end();
        });
    }
    return dropped;
}

/// Where the writer's own lines go instead of a buffer.
thread_local constinit std::string* redirection = nullptr;

/// Gathers and writes once. `gathered` only lends its capacity.
void write_once(Run& run, std::string& gathered, bool& within_line) {
    gathered.clear();
    if (within_line)
        gathered += '\n';
    if (const std::uint64_t dropped = gather(gathered); dropped > 0) {
        redirection = &gathered;
        Line(Level::kWarn, "log lines were dropped: the reader is too slow")
            .number("count", static_cast<std::int64_t>(dropped));
        redirection = nullptr;
    }
    if (!gathered.empty()) {
        const std::uint64_t before = run.written;
        if (write_all(run.fd, gathered, run.written)) {
            within_line = false;
        } else {
            const std::string_view lost =
                std::string_view(gathered).substr(run.written.load() - before);
            state().dropped += static_cast<std::uint64_t>(std::ranges::count(lost, '\n'));
            within_line = within_line || lost.size() < gathered.size();
        }
    }
    if (gathered.capacity() > 2 * kBufferBytesMax)
        gathered = std::string();
}

void run_writer(const std::shared_ptr<Run>& run) {
    std::string gathered;
    bool within_line = false;
    std::unique_lock lock(run->mutex);
    for (;;) {
        run->wake.wait(
            lock, [&] { return run->is_stopping || run->is_urgent || state().has_lines.load(); });
        run->wake.wait_for(lock, kGatherEvery, [&] { return run->is_stopping || run->is_urgent; });
        if (run->is_left_behind)
            return;
        const bool is_last = run->is_stopping;
        const std::uint64_t asked = run->asked;
        run->is_urgent = false;
        state().has_lines =
            false; // before the buffers are looked at: a line after that sets it again
        lock.unlock();
        write_once(*run, gathered, within_line);
        lock.lock();
        run->answered = asked;
        if (is_last)
            run->is_done = true;
        run->passed.notify_all();
        if (is_last)
            return;
    }
}

/// What a thread has of the log. When the thread ends its buffer stays until it is gathered.
struct ThreadPart {
    std::shared_ptr<Buffer> buffer;
    std::string scratch;
    bool is_scratch_lent = false;

    ThreadPart() : buffer(std::make_shared<Buffer>()) {
        const std::lock_guard lock(state().mutex);
        state().buffers.push_back(buffer);
    }
    ~ThreadPart();
    ThreadPart(const ThreadPart&) = delete;
    ThreadPart& operator=(const ThreadPart&) = delete;
};

/// Set when the thread's part is gone; lines of later destructors are written at once.
thread_local constinit bool is_part_gone = false;

ThreadPart::~ThreadPart() {
    is_part_gone = true;
    bool is_empty = false;
    {
        const std::lock_guard lock(buffer->mutex);
        buffer->has_ended = true;
        is_empty = buffer->bytes.empty() && buffer->dropped == 0;
    }
    if (is_empty) {
        const std::lock_guard lock(state().mutex);
        std::erase(state().buffers, buffer);
    }
}

ThreadPart& part() {
    thread_local ThreadPart kept;
    return kept;
}

std::shared_ptr<Run> current_run() {
    const std::lock_guard lock(state().mutex);
    return state().run;
}

void wake_writer(bool at_once) {
    const std::shared_ptr<Run> run = current_run();
    if (!run)
        return;
    const std::lock_guard lock(run->mutex);
    run->is_urgent = run->is_urgent || at_once;
    run->wake.notify_one();
}

enum class Fate : std::uint8_t { kNoWriter, kKept, kMustWake };

/// `is_running` is read under the buffer's mutex, which the last gathering of a run takes after it
/// was set to false: so no line is left behind in a buffer.
Fate append(Buffer& buffer, std::string_view line) {
    const std::lock_guard lock(buffer.mutex);
    if (!state().is_running.load(std::memory_order_acquire))
        return Fate::kNoWriter;
    const std::size_t before = buffer.bytes.size();
    if (before + line.size() > kBufferBytesMax) {
        ++buffer.dropped;
        state().dropped.fetch_add(1, std::memory_order_relaxed);
        return Fate::kKept;
    }
    buffer.bytes += line;
    const bool crosses = before < kWakeBytes && before + line.size() >= kWakeBytes;
    return crosses ? Fate::kMustWake : Fate::kKept;
}

} // namespace

namespace internal {

Level current_level() {
    return state().level.load(std::memory_order_relaxed);
}
Format current_format() {
    return state().format.load(std::memory_order_relaxed);
}

void hand_over(std::string_view line, bool at_once) {
    if (redirection != nullptr) {
        *redirection += line;
        return;
    }
    if (is_part_gone || !state().is_running.load(std::memory_order_acquire))
        return write_directly(line);
    const Fate fate = append(*part().buffer, line);
    if (fate == Fate::kNoWriter)
        return write_directly(line);
    at_once = at_once || fate == Fate::kMustWake;
    const bool is_first = !state().has_lines.load() && !state().has_lines.exchange(true);
    if (is_first || at_once)
        wake_writer(at_once);
}

std::string* borrow_scratch() {
    if (is_part_gone || part().is_scratch_lent)
        return nullptr;
    part().is_scratch_lent = true;
    part().scratch.clear();
    return &part().scratch;
}

void give_back_scratch() {
    if (!is_part_gone)
        part().is_scratch_lent = false;
}

} // namespace internal

void start(const Settings& settings) {
    LARDER_ASSERT(!state().is_running);
    set_level(settings.level);
    state().format = settings.format;
    auto run = std::make_shared<Run>(settings.fd);
    {
        const std::lock_guard lock(state().mutex);
        state().run = run;
    }
    state().is_running = true;
    run->thread = std::thread([run] { run_writer(run); });
}

void stop() {
    const std::shared_ptr<Run> run = current_run();
    if (!run)
        return;
    state().is_running = false;
    std::unique_lock lock(run->mutex);
    run->is_stopping = true;
    run->wake.notify_one();
    std::uint64_t seen = run->written;
    while (!run->passed.wait_for(lock, kStuckReader, [&] { return run->is_done; })) {
        if (std::exchange(seen, run->written.load()) == seen)
            break;
    }
    const bool is_done = run->is_done;
    run->is_left_behind = !is_done;
    lock.unlock();
    if (is_done)
        run->thread.join();
    else
        run->thread.detach();
    const std::lock_guard state_lock(state().mutex);
    state().run.reset();
}

void set_level(Level level) {
    state().level = level;
}

bool flush(std::chrono::milliseconds limit) {
    const std::shared_ptr<Run> run = current_run();
    if (!run)
        return true;
    std::unique_lock lock(run->mutex);
    const std::uint64_t mine = ++run->asked;
    run->is_urgent = true;
    run->wake.notify_one();
    return run->passed.wait_for(lock, limit, [&] { return run->answered >= mine || run->is_done; });
}

std::uint64_t dropped_lines() {
    return state().dropped.load(std::memory_order_relaxed);
}

} // namespace larder::log
