-- Requests for wrk: stores and lists for numbers drawn evenly.
--
-- wrk -s http.lua URL -- store|list|inline COUNT SEED DEPTH
-- COUNT numbers are drawn from; DEPTH requests are pipelined. The last line of output is for http.sh: RESULT, then
-- requests, microseconds, bytes read, answers other than success, errors of sockets.

local head, tail, count, depth
local pieces = {}

function init(arguments)
    local kind = arguments[1]
    count, depth = tonumber(arguments[2]), tonumber(arguments[4])
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
    -- What stands between the numbers of two requests, so that few pieces are put together.
    for index = 1, depth do
        pieces[2 * index] = index < depth and tail .. head or tail
    end
end

function request()
    for index = 1, depth do
        pieces[2 * index - 1] = 12000000000 + math.random(0, count - 1)
    end
    return head .. table.concat(pieces)
end

function done(summary, latency, requests)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("RESULT %d %d %d %d %d\n",
        summary.requests, summary.duration, summary.bytes, errors.status, broken))
end
