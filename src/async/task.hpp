// The coroutine type of the whole program: Asio's, bound to the io_context's own executor so that
// nothing is type-erased.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace larder {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;

/// A lazily started coroutine that runs on one io_context thread.
template <class T> using Task = asio::awaitable<T, Executor>;

} // namespace larder
