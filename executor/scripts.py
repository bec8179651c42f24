"""The scripts on the Redis server: the only ways in which an account's memory is checked and changed.

Each makes all its checks before its first write. `version` counts every write to the account, so that a memory which is
not the server's (another lane wrote, or a failover lost what we wrote) is noticed whatever it was that differs.
"""

BEGIN = """
-- KEYS: lease, state, place.  ARGV: token, version that this token last knew (or '')
-- A server that is not the one we last wrote to may have lost writes: what was captured before now is suspect. Only
-- a lane that held the lease all the time and finds all that it wrote may go by its own memory of what it called.
-- One that has succeeded another and does not know us at all may have lost even our first begin.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', '', '', ''} end
local t = redis.call('TIME')
local now = t[1] .. string.format('%06d', t[2])
local replication = redis.call('INFO', 'replication')
local server = string.match(replication, 'master_replid:(%x+)') or ''
local succeeded = string.find(string.match(replication, 'master_replid2:(%x+)') or '', '[^0]')
local known = redis.call('HGET', KEYS[2], 'server')
local version = redis.call('HGET', KEYS[3], 'version') or '0'
if known ~= server then
  if (known or succeeded) and version ~= ARGV[2] then
    redis.call('HSET', KEYS[2], 'suspect-before', now)
  end
  redis.call('HSET', KEYS[2], 'server', server)
  version = tostring(redis.call('HINCRBY', KEYS[3], 'version', 1))
end
return {'ok', redis.call('HGET', KEYS[2], 'suspect-before') or '0', version, now}
"""

FENCE = """
-- KEYS: lease, state, place, done.  ARGV: token, modes in which the step may act, version, fact#attempt
-- Reads only. With 'ok' comes how long the lease still lasts: nobody else can act for the account within that time.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end
if (redis.call('HGET', KEYS[3], 'version') or '0') ~= ARGV[3] then return {'moved', ''} end
if redis.call('HEXISTS', KEYS[4], ARGV[4]) == 1 then return {'done', ''} end
local mode = redis.call('HGET', KEYS[2], 'mode') or ''
if not string.find(' ' .. ARGV[2] .. ' ', ' ' .. mode .. ' ', 1, true) then return {'state', mode} end
return {'ok', tostring(redis.call('PTTL', KEYS[1]))}
"""

COMMIT = """
-- KEYS: lease, place, done, links, debts, orders, outcomes, dead, drift, replay
-- ARGV: token, one msgpack map (see executor.ledger), then the dead letter's fields
-- An attempt that has ended before is not ended again: whoever begins anew finds that, and ends the entry by itself.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end
local c = cmsgpack.unpack(ARGV[2])
for i = 1, #c.ends, 3 do
  if c.ends[i] ~= '' and redis.call('HEXISTS', KEYS[3], c.ends[i]) == 1 then return {'done', ''} end
end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= c.version then return {'moved', ''} end
if c.entry ~= '' and #redis.call('XPENDING', KEYS[6], c.group, c.entry, c.entry, 1) == 0 then return {'moved', ''} end
for i = 1, #c.requests do
  if redis.call('HEXISTS', KEYS[10], c.requests[i]) == 0 then return {'moved', ''} end
end

local id = ''
for i = 1, #c.messages, 3 do
  id = redis.call('XADD', KEYS[7], '*', 'm', c.messages[i], 'k', c.messages[i + 1], 's', c.messages[i + 2])
end
for i = 1, #c.ends, 3 do
  if c.ends[i] ~= '' then redis.call('HSET', KEYS[3], c.ends[i], c.ends[i + 1] .. ' ' .. c.ms .. ' ' .. id) end
end
local function put(key, pairs)
  for i = 1, #pairs, 2 do
    if pairs[i + 1] == '' then redis.call('HDEL', key, pairs[i])
    else redis.call('HSET', key, pairs[i], pairs[i + 1]) end
  end
end
put(KEYS[4], c.links)
put(KEYS[5], c.debts)
put(KEYS[9], c.drifts)
put(KEYS[10], c.noted)
if #ARGV > 2 then redis.call('XADD', KEYS[8], '*', unpack(ARGV, 3)) end
put(KEYS[2], c.place)
redis.call('HSET', KEYS[2], 'seal', c.seal)
for i = 3, #c.ends, 3 do
  if c.ends[i] ~= '' then redis.call('XACK', KEYS[6], c.group, c.ends[i]) end
end
for i = 1, #c.requests do if #c.ends > 0 then redis.call('HDEL', KEYS[10], c.requests[i]) end end
return {'ok', tostring(redis.call('HINCRBY', KEYS[2], 'version', 1))}
"""

RENEW = """
-- KEYS: lease, place.  ARGV: token, milliseconds, version
-- An idle lane learns here that the server has forgotten what it wrote.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lease' end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[3] then return 'moved' end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'ok'
"""

TIGHTEN = """
-- KEYS: lease, state.  ARGV: token, mode, reason, then the reasons that go by themselves
-- Never lets more through than an operator or a limit has said; what goes by itself gives way to what stays.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local order = {active = 1, shadow = 2, ['close-only'] = 3, halted = 4}
local now, why = redis.call('HGET', KEYS[2], 'mode'), redis.call('HGET', KEYS[2], 'reason')
local passing = {}
for i = 4, #ARGV do passing[ARGV[i]] = true end
if not now or order[ARGV[2]] > (order[now] or 0) then
  if passing[ARGV[3]] then redis.call('HSET', KEYS[2], 'before', now or 'active') end
  redis.call('HSET', KEYS[2], 'mode', ARGV[2], 'reason', ARGV[3])
elseif now == ARGV[2] and why and passing[why] and not passing[ARGV[3]] then
  redis.call('HSET', KEYS[2], 'reason', ARGV[3])
end
return 1
"""

LOOSEN = """
-- KEYS: lease, state.  ARGV: token, then the reasons that go by themselves.  Undoes what only they have brought about.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
if redis.call('HGET', KEYS[2], 'mode') ~= 'close-only' then return 0 end
local why = redis.call('HGET', KEYS[2], 'reason')
for i = 2, #ARGV do
  if why == ARGV[i] then
    redis.call('HSET', KEYS[2], 'mode', redis.call('HGET', KEYS[2], 'before') or 'active', 'reason', '')
    return 1
  end
end
return 0
"""

NOTE = """
-- KEYS: lease, state, place.  ARGV: token, version and seal (or '', ''), then field, value …
-- With a seal it is a write to the account's memory, so that a failover which loses it is noticed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end
local version = redis.call('HGET', KEYS[3], 'version') or '0'
if ARGV[3] ~= '' then
  if version ~= ARGV[2] then return {'moved', ''} end
  redis.call('HSET', KEYS[3], 'seal', ARGV[3])
  version = tostring(redis.call('HINCRBY', KEYS[3], 'version', 1))
end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return {'ok', version}
"""
