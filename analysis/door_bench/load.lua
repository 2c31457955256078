-- What wrk sends: wrk -s load.lua URL -- MODE METHOD RUN
--
-- MODE keyed: every request has an X-Request-Id of its own; fixed: none has one, all requests are the same bytes;
-- varied: ids as in keyed, and path, query, User-Agent and cookies change among 504 combinations.
-- RUN begins every id, so that no two runs share one. The result is one line of JSON behind "RESULT ".

local AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "curl/7.88.1",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "Go-http-client/1.1",
}
local PATHS = { "/", "/home", "/cart", "/orders/2041", "/search", "/api/v1/items", "/api/v1/users/77", "/static/app.js" }
local COOKIES = 9

local PLACE = "@ID@"

local function split(text)
    local from, to = text:find(PLACE, 1, true)
    return text:sub(1, from - 1), text:sub(to + 1)
end

local function varied_heads(method)
    local before, after = {}, {}
    for _, agent in ipairs(AGENTS) do
        for at, path in ipairs(PATHS) do
            for cookie = 1, COOKIES do
                local headers = {
                    ["X-Request-Id"] = PLACE,
                    ["User-Agent"] = agent,
                    ["Accept"] = "*/*",
                    ["Cookie"] = string.format("session=%08x; theme=%d", cookie * 40503 * at, cookie),
                }
                local target = path .. "?page=" .. cookie .. "&q=" .. at * 31
                before[#before + 1], after[#after + 1] = split(wrk.format(method, target, headers))
            end
        end
    end
    return before, after
end

function init(args)
    local mode, method, run = args[1], args[2], args[3]
    wrk.method = method
    if method == "POST" then
        wrk.body = string.rep("x", 1024)
    end
    if mode == "fixed" then
        local same = wrk.format()
        request = function() return same end
        return
    end
    local count = 1000000  -- seven digits for the first nine million requests: all of the same length
    if mode == "keyed" then
        local before, after = split(wrk.format(nil, nil, { ["X-Request-Id"] = PLACE }))
        before = before .. run
        request = function()
            count = count + 1
            return before .. count .. after
        end
        return
    end
    local before, after = varied_heads(method)
    local kinds, kind = #before, 0
    request = function()
        count = count + 1
        kind = kind % kinds + 1
        return before[kind] .. run .. count .. after[kind]
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "worst_us": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
        summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency.max,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout
    ))
end
