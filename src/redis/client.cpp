#include "redis/client.hpp"

namespace larder::redis {

Task<Result<Reply>> Client::script(const Script& script, ScriptCall call,
                                   std::chrono::microseconds within) {
    using Steady = std::chrono::steady_clock;
    const Script::Text& text = text_of(script);
    const auto command = [&call](std::string_view name, std::string_view what) {
        std::size_t bytes = what.size() + 4;
        for (const std::string& key : call.keys)
            bytes += key.size();
        for (const std::string& argument : call.args)
            bytes += argument.size();
        Command made(name, 2 + call.keys.size() + call.args.size(), bytes);
        made.arg(what).arg(static_cast<std::int64_t>(call.keys.size()));
        for (const std::string& key : call.keys)
            made.key(key);
        for (const std::string& argument : call.args)
            made.arg(argument);
        if (call.idempotent)
            made.idempotent();
        return made;
    };
    const auto deadline = Steady::now() + within;
    auto reply = co_await run(command("EVALSHA", text.sha1), within);
    if (reply || reply.error().detail != "NOSCRIPT")
        co_return reply;
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(deadline - Steady::now());
    co_return co_await run(command("EVAL", text.body), left);
}

} // namespace larder::redis
