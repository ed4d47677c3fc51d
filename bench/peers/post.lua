-- wrk: the same POST again and again; the body is in the file that the environment names.
local file = assert(io.open(os.getenv("LARDER_BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = file:read("*a")
file:close()

function done(summary, latency, requests)
    local errors = summary.errors
    local form = 'JSON {"completed":%d,"seconds":%.6f,"socketErrors":%d,"badStatuses":%d}\n'
    io.write(string.format(form, summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
