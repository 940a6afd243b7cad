-- Requests for wrk: stores and lists for numbers drawn evenly.
--
-- wrk -s http.lua URL -- store|list|inline COUNT SEED
-- COUNT numbers are drawn from. The last line of output is for http.sh: RESULT, then requests, microseconds, bytes
-- read, answers other than success, errors of sockets.

local head, tail, count

function init(arguments)
    local kind = arguments[1]
    count = tonumber(arguments[2])
    math.randomseed(tonumber(arguments[3]))
    local text
    if kind == "store" then
        local headers = { ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/passport" }
        text = wrk.format("POST", "/cps/NUMBER/ppts", headers, string.rep("s", 640))
    else
        local query = kind == "inline" and "?inline=1" or ""
        text = wrk.format("GET", "/cps/NUMBER/ppts" .. query)
    end
    local first, last = string.find(text, "NUMBER", 1, true)
    head, tail = string.sub(text, 1, first - 1), string.sub(text, last + 1)
end

function request()
    return head .. (12000000000 + math.random(0, count - 1)) .. tail
end

function done(summary, latency, requests)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("RESULT %d %d %d %d %d\n",
        summary.requests, summary.duration, summary.bytes, errors.status, broken))
end
