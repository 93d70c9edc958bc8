"""What the server does in one step: Lua, as Redis 7 and Valkey run it. Times are the server's own.

Machines need no equal clocks. Calls are counted also where the memory is full (`allow-oom`): what does not fit then is
answers. Not here: what runs them (bucket.py, answers.py).
"""

from __future__ import annotations

TAKE = """#!lua flags=allow-oom
-- KEYS: bucket, members, calls by minute. ARGV: rate, wanted, kept back, member, seconds a member counts, longest shut,
-- given back (or owed), shut for, tokens if there is no bucket, then pairs of field and calls.
-- Returns given, tokens, seconds for which it is shut, members.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
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
"""

SPENT = """#!lua flags=allow-oom
-- KEYS: the beginning of the keys of minutes. Returns minute, field, calls, and so on, of the last hour.
local now = math.floor(redis.call('TIME')[1] / 60)
local found = {}
for minute = now - 59, now do
    local fields = redis.call('HGETALL', KEYS[1] .. ':' .. minute)
    for i = 1, #fields, 2 do
        found[#found + 1] = tostring(minute)
        found[#found + 1] = fields[i]
        found[#found + 1] = fields[i + 1]
    end
end
return found
"""

CLAIM = """#!lua flags=allow-oom
-- KEYS: answers. ARGV: claimant, milliseconds of a claim.
-- Returns for each its value and the milliseconds for which it holds; or 1, claimed, or 0, claimed by another.
local found = {}
for i, key in ipairs(KEYS) do
    local value = redis.call('GET', key)
    if value then
        found[i] = {value, redis.call('PTTL', key)}
    elseif redis.call('SET', key .. ':claim', ARGV[1], 'NX', 'PX', ARGV[2]) then
        found[i] = 1
    else
        found[i] = 0
    end
end
return found
"""

RENEW = """#!lua flags=allow-oom
-- KEYS: an answer. ARGV: claimant, milliseconds of a claim, milliseconds for which it holds where it is renewed.
-- Returns what CLAIM does: the value where it holds for longer.
local left = redis.call('PTTL', KEYS[1])
if left > tonumber(ARGV[3]) then return {{redis.call('GET', KEYS[1]), left}} end
if redis.call('SET', KEYS[1] .. ':renewal', ARGV[1], 'NX', 'PX', ARGV[2]) then return {1} end
return {0}
"""

PUT = """
-- KEYS: answers. ARGV: claimant, then of each its value and the milliseconds for which it holds. Ends the claims.
for i, key in ipairs(KEYS) do
    redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1])
    if redis.call('GET', key .. ':claim') == ARGV[1] then redis.call('DEL', key .. ':claim') end
end
return 1
"""

RELEASE = """#!lua flags=allow-oom
-- KEYS: answers that did not come. ARGV: claimant.
for _, key in ipairs(KEYS) do
    if redis.call('GET', key .. ':claim') == ARGV[1] then redis.call('DEL', key .. ':claim') end
end
return 1
"""

GO_ON = """#!lua flags=allow-oom
-- KEYS: answers that are being asked for. ARGV: claimant, milliseconds of a claim.
for _, key in ipairs(KEYS) do
    if redis.call('GET', key .. ':claim') == ARGV[1] then redis.call('PEXPIRE', key .. ':claim', ARGV[2]) end
end
return 1
"""
