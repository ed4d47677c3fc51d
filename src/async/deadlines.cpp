#include "async/deadlines.hpp"

#include "base/time.hpp"

#include <boost/asio/steady_timer.hpp>

namespace larder::async {
namespace {

constexpr std::chrono::milliseconds kTick{100};

} // namespace

asio::execution_context::id Deadlines::id;

struct Deadlines::Timer {
    explicit Timer(asio::io_context& context) : timer(context.get_executor()) {}
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>
        timer;
};

Deadline::Deadline(Deadlines& list, std::function<void()> expired)
    : list_(list), on_expired_(std::move(expired)) {
    list_.add(*this);
}

Deadline::~Deadline() {
    list_.remove(*this);
}

void Deadline::arm(std::chrono::microseconds after) {
    expired_ = false;
    at_us_ = Deadlines::now_us() + after.count();
}

Deadlines::Deadlines(asio::execution_context& context)
    : asio::execution_context::service(context), context_(static_cast<asio::io_context&>(context)) {
}

Deadlines::~Deadlines() = default;

Deadlines& Deadlines::of(asio::io_context& context) {
    return asio::use_service<Deadlines>(context);
}

std::int64_t Deadlines::now_us() {
    return SystemClock().steady_us();
}

void Deadlines::shutdown() {
    timer_.reset();
}

void Deadlines::add(Deadline& deadline) {
    deadline.next_ = first_;
    if (first_ != nullptr)
        first_->previous_ = &deadline;
    first_ = &deadline;
    start_ticking();
}

void Deadlines::remove(Deadline& deadline) {
    if (cursor_ == &deadline)
        cursor_ = deadline.next_;
    if (deadline.previous_ != nullptr)
        deadline.previous_->next_ = deadline.next_;
    else
        first_ = deadline.next_;
    if (deadline.next_ != nullptr)
        deadline.next_->previous_ = deadline.previous_;
}

void Deadlines::start_ticking() {
    if (ticking_)
        return;
    ticking_ = true;
    if (!timer_)
        timer_ = std::make_unique<Timer>(context_);
    timer_->timer.expires_after(kTick);
    timer_->timer.async_wait([this](boost::system::error_code error) {
        if (!error)
            tick();
    });
}

void Deadlines::tick() {
    ticking_ = false;
    const std::int64_t now = now_us();
    for (cursor_ = first_; cursor_ != nullptr;) {
        Deadline& deadline = *cursor_;
        cursor_ = deadline.next_;
        if (deadline.at_us_ != 0 && deadline.at_us_ <= now) {
            deadline.at_us_ = 0;
            deadline.expired_ = true;
            deadline.on_expired_(); // may remove any deadline of the list, also the cursor's
        }
    }
    if (first_ != nullptr)
        start_ticking();
}

} // namespace larder::async
