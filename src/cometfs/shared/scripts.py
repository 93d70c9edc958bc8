"""What the server does in one step: Lua, as Redis 7 and Valkey run it. Times are the server's own.

Each returns the server's time first (see clock.py), and has it at hand as `time` and `now`. Calls are counted also
where the memory is full (`allow-oom`): what does not fit then is answers. Not here: what runs them (place.py).
"""

from __future__ import annotations


def _timed(body: str, flags: str = "#!lua flags=allow-oom\n") -> str:
    time = "local time = redis.call('TIME')\nlocal now = time[1] + time[2] / 1e6\n"
    return f"{flags}{time}local function answer()\n{body}\nend\nreturn {{time, answer()}}"


TAKE = _timed("""
-- KEYS: bucket, members, calls by minute. ARGV: rate, wanted, kept back, member, seconds a member counts, longest shut,
-- given back (or owed), shut for, tokens if there is no bucket, then pairs of field and calls.
-- Returns given, tokens, seconds for which it is shut, members.
local rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
local level = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'shut')
local tokens, at, shut = tonumber(ARGV[9]), now, 0
if level[1] then
    at, shut = tonumber(level[2]), tonumber(level[3])
    tokens = tonumber(level[1]) + math.max(0, now - at) * rate / 3600 + tonumber(ARGV[7])
end
tokens = math.min(rate, tokens)
if shut <= now or shut > now + tonumber(ARGV[6]) then shut = 0 end
if tonumber(ARGV[8]) > 0 then shut = math.max(shut, now + tonumber(ARGV[8])) end
local given = 0
if shut == 0 and wanted > 0 then
    local have = math.floor(tokens)
    if have - wanted <= rate * tonumber(ARGV[3]) then wanted = 1 end
    given = math.max(0, math.min(have, wanted))
    tokens = tokens - given
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now), 'shut', tostring(shut),
    'rate', tostring(rate))
redis.call('EXPIRE', KEYS[1], 7200)
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[5]))
redis.call('EXPIRE', KEYS[2], 7200)
if #ARGV > 9 then
    local spent = KEYS[3] .. ':' .. math.floor(now / 60)
    for i = 10, #ARGV, 2 do redis.call('HINCRBY', spent, ARGV[i], ARGV[i + 1]) end
    redis.call('EXPIRE', spent, 7200)
end
local left = 0
if shut > 0 then left = shut - now end
return {given, tostring(tokens), tostring(left), redis.call('ZCARD', KEYS[2])}
""")

SPENT = _timed("""
-- KEYS: the beginning of the keys of minutes. Returns minute, field, calls, and so on, of the last hour.
local last = math.floor(now / 60)
local found = {}
for minute = last - 59, last do
    local fields = redis.call('HGETALL', KEYS[1] .. ':' .. minute)
    for i = 1, #fields, 2 do
        found[#found + 1] = tostring(minute)
        found[#found + 1] = fields[i]
        found[#found + 1] = fields[i + 1]
    end
end
return found
""")

CLAIM = _timed("""
-- KEYS: answers. ARGV: claimant, beginning of the keys of those that live, milliseconds for which this one does.
-- Returns for each its value; or 1, claimed, or 0, claimed by one that lives.
local alive = {}
local function lives(owner)
    if alive[owner] == nil then alive[owner] = redis.call('EXISTS', ARGV[2] .. owner) == 1 end
    return alive[owner]
end
redis.call('SET', ARGV[2] .. ARGV[1], '', 'PX', ARGV[3])
local found = {}
for i, key in ipairs(KEYS) do
    local value = redis.call('GET', key)
    local owner = not value and redis.call('GET', key .. ':claim')
    if value then
        found[i] = value
    elseif owner and lives(owner) then
        found[i] = 0
    else
        redis.call('SET', key .. ':claim', ARGV[1], 'EX', 3600)
        found[i] = 1
    end
end
return found
""")

CHANGED = _timed("""
-- KEYS: answers that others ask for. ARGV: beginning of the keys of those that live. Returns of each 1 where it has
-- come, or does not come any more.
local found = {}
for i, key in ipairs(KEYS) do
    local owner = redis.call('EXISTS', key) == 0 and redis.call('GET', key .. ':claim')
    found[i] = owner and redis.call('EXISTS', ARGV[1] .. owner) or 0
    found[i] = 1 - found[i]
end
return found
""")

RENEW = _timed("""
-- KEYS: an answer. ARGV: claimant, milliseconds of a claim, milliseconds for which it holds where it is renewed.
-- Returns what CLAIM does: the value where it holds for longer.
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then return {redis.call('GET', KEYS[1])} end
if redis.call('SET', KEYS[1] .. ':renewal', ARGV[1], 'NX', 'PX', ARGV[2]) then return {1} end
return {0}
""")

PUT = _timed(
    """
-- KEYS: answers. ARGV: claimant, then of each its value and the millisecond until which it holds. Ends the claims.
-- None takes the place of a newer one: when each arrived stands in it (sealed.py).
for i, key in ipairs(KEYS) do
    local value = ARGV[2 * i]
    local before = tonumber(redis.call('GETRANGE', key, 16, 28))
    if not before or before > now * 1000 or before <= tonumber(string.sub(value, 17, 29)) then
        redis.call('SET', key, value, 'PXAT', ARGV[2 * i + 1])
    end
    if redis.call('GET', key .. ':claim') == ARGV[1] then redis.call('DEL', key .. ':claim') end
end
return 1
""",
    flags="",
)

RELEASE = _timed("""
-- KEYS: answers that did not come. ARGV: claimant.
for _, key in ipairs(KEYS) do
    if redis.call('GET', key .. ':claim') == ARGV[1] then redis.call('DEL', key .. ':claim') end
end
return 1
""")

GO_ON = _timed("""
-- KEYS: claimants that live. ARGV: milliseconds for which they do.
for _, key in ipairs(KEYS) do redis.call('SET', key, '', 'PX', ARGV[1]) end
return 1
""")

PAUSE = _timed("""
-- KEYS: pauses. ARGV: endpoint, seconds. A 429 came: of a second endpoint meanwhile, it means everything (named '').
-- Returns whether it does.
local everything = 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local name, ends = string.match(fields[i], '^(.*) (%a+)$')
    if ends == 'ends' and name ~= ARGV[1] and tonumber(fields[i + 1]) > now then everything = 1 end
end
local names = {ARGV[1]}
if everything == 1 then names[2] = '' end
for _, name in ipairs(names) do
    redis.call('HSET', KEYS[1], name .. ' ends', string.format('%.6f', now + ARGV[2]))
    redis.call('HDEL', KEYS[1], name .. ' tried')
end
redis.call('EXPIRE', KEYS[1], 600)
return everything
""")

PASS = _timed("""
-- KEYS: pauses. ARGV: endpoint, seconds for which others wait for the first call, longest pause.
-- Returns what it is to a call, and seconds: 'go'; 'pauses', for so long; 'wait', for the first call after a pause, for
-- so long at most; 'first', being that.
local left, hold, ended = 0, 0, {}
for _, name in ipairs({'', ARGV[1]}) do
    local found = redis.call('HMGET', KEYS[1], name .. ' ends', name .. ' tried')
    local ends, tried = tonumber(found[1] or 0), tonumber(found[2] or 0)
    if ends > now + ARGV[3] then ends = now end
    left = math.max(left, ends - now)
    if ends > 0 then
        ended[#ended + 1] = name
        if tried <= now then hold = math.max(hold, tried + ARGV[2] - now) end
    end
end
if left > 0 then return {'pauses', tostring(left)} end
if hold > 0 then return {'wait', tostring(hold)} end
if #ended == 0 then return {'go', '0'} end
for _, name in ipairs(ended) do redis.call('HSET', KEYS[1], name .. ' tried', string.format('%.6f', now)) end
return {'first', '0'}
""")

ANSWERED = _timed("""
-- KEYS: pauses. ARGV: endpoint. The first call after a pause was answered: it is over, unless it began anew.
for _, name in ipairs({'', ARGV[1]}) do
    if redis.call('HEXISTS', KEYS[1], name .. ' tried') == 1 then
        redis.call('HDEL', KEYS[1], name .. ' ends', name .. ' tried')
    end
end
return 1
""")
