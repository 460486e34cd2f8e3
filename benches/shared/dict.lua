-- Answers the requests of a file from a shared dictionary, in one worker of nginx: get, and on a miss set. What it
-- prints is described in larder.c. A store is refused with "no memory"; one that evicted items is a forcible one; a
-- wipe is a store after which more than half of the pages are free, and were not before.

require "resty.core"

local dict = ngx.shared.bench
local file = assert(io.open(ngx.var.requests))
local every = tonumber(ngx.var.window)
local half = dict:capacity() / 2
local new = function() return { gets = 0, hits = 0, stores = 0, refused = 0, evicting = 0, wipes = 0, wrong = 0 } end
local window = new()
local full = false

local function store(key, len)
    local stored, problem, forcible = dict:set(key, string.rep("x", len))
    window.stores = window.stores + 1
    if not stored then
        assert(problem == "no memory", problem)
        window.refused = window.refused + 1
    end
    if forcible then
        window.evicting = window.evicting + 1
    end
    local empty = dict:free_space() > half
    if full and empty then
        window.wipes = window.wipes + 1
    end
    full = not empty
end

for line in file:lines() do
    local key, len = line:match("^(%S+) (%d+)$")
    len = tonumber(len)
    window.gets = window.gets + 1
    local value = dict:get(key)
    if value then
        window.hits = window.hits + 1
        if #value ~= len then
            window.wrong = window.wrong + 1
        end
    else
        store(key, len)
    end
    if window.gets == every then
        ngx.say(table.concat({ window.gets, window.hits, window.stores, window.refused, window.evicting, window.wipes,
                               window.wrong }, " "))
        window = new()
    end
end
file:close()
