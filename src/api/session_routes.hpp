// The endpoints of /sessions. Shared by all threads. A session belongs to the namespace of the key
// that made it: for others it is not there. No id is ever logged.
#pragma once

#include "api/context.hpp"
#include "api/session_requests.hpp"
#include "base/budget.hpp"
#include "session/store.hpp"

#include <string>

namespace larder::api {

class SessionRoutes {
public:
    SessionRoutes(session::Store& store, MemoryBudget& budget) : store_(store), budget_(budget) {}
    /// Answers one request of any session route.
    Task<void> serve(Context& context);

private:
    using Outcome = Result<http::Response>;

    Task<Outcome> answer(Context& context, std::string body);
    Task<Outcome> create(Context& context, std::string body);
    Task<Outcome> change(Context& context, session::Reference reference, std::string body);
    Task<Outcome> replace(Context& context, session::Reference reference, std::string data,
                          Precondition precondition);
    Task<Outcome> merge(Context& context, session::Reference reference, std::string patch,
                        Precondition precondition);
    Task<Outcome> all_of_user(Context& context);
    /// The version to compare with, where a request names several: the one that is there.
    Task<Result<session::Store::Expected>> choose(Context& context, session::Reference reference,
                                                  Precondition precondition);

    session::Store& store_;
    MemoryBudget& budget_;
};

} // namespace larder::api
