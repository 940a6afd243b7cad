-- Batches for wrk: stores of 640 bytes under numbers drawn evenly.
--
-- wrk -s batch.lua URL -- RECORDS COUNT SEED
-- RECORDS stand in each batch; COUNT numbers are drawn from. The last line of output is for batch.sh: RESULT, then
-- requests, microseconds, answers other than success, answers that are not one id for each record, errors of sockets.

local bodies_count = 16
local body_bytes = 640
-- What a result takes behind the version: the byte that says it is stored, and the id.
local result_bytes = 17

local requests, at, threads = {}, 0, {}
answer_bytes, short = 0, 0

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    local records, count = tonumber(arguments[1]), tonumber(arguments[2])
    math.randomseed(tonumber(arguments[3]))
    answer_bytes = 1 + result_bytes * records
    local headers = { ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/vnd.herald.batch" }
    local head = string.char(math.floor(body_bytes / 256), body_bytes % 256, 11)
    local body = string.rep("s", body_bytes)
    for index = 1, bodies_count do
        local parts = { string.char(1) }
        for record = 1, records do
            parts[record + 1] = head .. string.format("%.0f", 12000000000 + math.random(0, count - 1)) .. body
        end
        requests[index] = wrk.format("POST", "/cps/batch", headers, table.concat(parts))
    end
end

function request()
    at = at % bodies_count + 1
    return requests[at]
end

function response(status, headers, body)
    if #body ~= answer_bytes then
        short = short + 1
    end
end

function done(summary, latency, percentiles)
    local errors, short_count = summary.errors, 0
    for _, thread in ipairs(threads) do
        short_count = short_count + thread:get("short")
    end
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("RESULT %d %d %d %d %d\n",
        summary.requests, summary.duration, errors.status, short_count, broken))
end
