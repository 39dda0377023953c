import { defineScript } from './lua-script.js'

/**
 * One step of a shared circuit, as `resilience/breaker/circuit.ts` takes it in memory; a test lets both take the same steps.
 *
 * KEYS  the hash · what happened and is not kept yet (epoch → JSON)
 * ARGV  op · service · instance · channel · now (0: Redis' own time) · report (JSON)
 * Gives now · granted · live · voters · fields of the hash, flat · transitions, as JSON each
 */
export const circuitScript = defineScript(
  'circuit',
  `local key, outbox = KEYS[1], KEYS[2]
local op, service, instance, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = tonumber(ARGV[5])
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local ask = cjson.decode(ARGV[6])
local rules, evidence = ask.rules, ask.evidence
local int = function(n) return string.format('%.0f', n) end

-- ISO 8601 of milliseconds, since Redis' Lua has no dates.
local function iso(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms - seconds * 1000)
end

local circuit, votes, dirty, gone = {}, {}, {}, {}
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do
  local voter = string.match(flat[i], '^vote:(.+)$')
  if voter then votes[voter] = flat[i + 1] else circuit[flat[i]] = flat[i + 1] end
end
local function num(name) return tonumber(circuit[name]) or 0 end
local function put(name, value)
  if value == nil or value == '' then
    if circuit[name] ~= nil then circuit[name] = nil; dirty[name] = nil; gone[name] = true end
    return
  end
  local text = type(value) == 'number' and int(value) or value
  if circuit[name] ~= text then circuit[name] = text; dirty[name] = text; gone[name] = nil end
end

local told, isChanged = {}, false
local function free() put('probe'); put('probe_until') end
local function enter(to, reason)
  local from = circuit.state
  local epoch = math.max(num('epoch') + 1, ask.floor + 1, now)
  free()
  put('state', to); put('epoch', epoch); put('reason', reason); put('successes')
  isChanged = true
  if from == to then return end
  local event = cjson.encode({ service = service, from = from, to = to, epoch = epoch, failureCount = num('failure_count'),
    at = now, reason = reason, instance = '' })
  redis.call('HSET', outbox, int(epoch), event)
  told[#told + 1] = event
end
local function open(failures, reason)
  local openings = num('openings') + 1
  local backoff = math.min(rules.maxRecoveryTimeoutMs, rules.recoveryTimeoutMs * 2 ^ math.min(openings - 1, 52))
  put('openings', openings); put('opened_at', iso(now)); put('failure_count', failures)
  put('until', math.ceil(now + backoff * (1 + rules.jitter * ask.random)))
  enter('OPEN', reason)
end
local function close(reason)
  put('openings'); put('opened_at'); put('until')
  enter('CLOSED', reason)
  put('failure_count', 0)
end

-- Where the state was lost, it is again what the caller last read of it.
local known = ask.known
if type(known) == 'table' and known.epoch > num('epoch') then
  put('state', known.state); put('epoch', known.epoch); put('openings', known.openings); put('until', known['until'])
  put('opened_at', type(known.openedAt) == 'number' and iso(known.openedAt) or nil)
  put('successes', known.successes); put('reason', known.reason); put('failure_count', known.failureCount)
  put('forced', type(known.forced) == 'string' and known.forced or nil); put('forced_until', known.forcedUntil)
end
if not circuit.state then put('state', 'CLOSED'); put('failure_count', 0) end
if circuit.forced and num('forced_until') > 0 and now >= num('forced_until') then
  if circuit.forced == 'OPEN' then put('until', now) end
  put('forced'); put('forced_until')
  isChanged = true
end

for _, epoch in ipairs(ask.kept) do redis.call('HDEL', outbox, int(epoch)) end
if type(ask.failedAgoMs) == 'number' then
  local at = iso(now - ask.failedAgoMs)
  if not circuit.last_failure or circuit.last_failure < at then put('last_failure', at) end
end
if type(ask.succeededAgoMs) == 'number' then
  local at = iso(now - ask.succeededAgoMs)
  if not circuit.last_success or circuit.last_success < at then put('last_success', at) end
end
-- The same wish, measured by several, differs by what their answers took; one from before a reset is none any more.
if ask.throttledMs > 0 and ask.epoch == num('epoch') and now + ask.throttledMs > num('throttled_until') + 100 then
  put('throttled_until', now + ask.throttledMs)
  isChanged = true
end

-- Who only operates has no vote, and is not counted among those who could.
if instance ~= '' then
  local vote = table.concat({ int(now), int(ask.epoch), int(evidence.calls), int(evidence.bad), int(evidence.timeouts) }, ',')
  votes[instance] = vote
  redis.call('HSET', key, 'vote:' .. instance, vote)
end

local function isVote(calls, bad, timeouts)
  if rules.consecutiveTimeouts > 0 and timeouts >= rules.consecutiveTimeouts then return true end
  if rules.failureThreshold > 0 then return bad > 0 end
  return bad > 0 and calls >= math.min(4, rules.minCalls) and bad >= calls * rules.failureRate
end

local live, voters, silent, calls, bad = 0, 0, 0, 0, 0
for voter, text in pairs(votes) do
  local at, epoch, n, b, t = string.match(text, '^(%d+),(%d+),(%d+),(%d+),(%d+)$')
  at, epoch, n, b, t = tonumber(at), tonumber(epoch), tonumber(n), tonumber(b), tonumber(t)
  if not at or now - at > 60000 then
    redis.call('HDEL', key, 'vote:' .. voter)
  elseif now - at <= 3000 then
    live = live + 1
    if epoch == num('epoch') then
      calls, bad = calls + n, bad + b
      if isVote(n, b, t) then voters = voters + 1 end
      if rules.consecutiveTimeouts > 0 and t >= rules.consecutiveTimeouts then silent = silent + 1 end
    end
  end
end

local granted = 0
if op == 'operate' then
  isChanged = true
  local till = ask.forMs > 0 and now + ask.forMs or nil
  if ask.act == 'reset' then
    put('forced'); put('forced_until'); put('throttled_until')
    close(ask.reason)
  elseif ask.act == 'close' then
    if circuit.state == 'CLOSED' then put('reason', ask.reason) else close(ask.reason) end
    put('forced', 'CLOSED'); put('forced_until', till)
  else
    if circuit.state == 'OPEN' then put('reason', ask.reason) else put('opened_at', iso(now)); enter('OPEN', ask.reason) end
    put('forced', 'OPEN'); put('forced_until', till); put('until', till)
  end
elseif op == 'lease' and not circuit.forced and circuit.state ~= 'CLOSED' and (circuit.state ~= 'OPEN' or now >= num('until')) then
  if circuit.state == 'OPEN' then enter('HALF_OPEN', 'the back-off is over') end
  if not circuit.probe or now >= num('probe_until') then
    put('probe', ask.token); put('probe_until', now + rules.probeLeaseMs)
    granted = 1
  end
elseif op == 'end' and circuit.state == 'HALF_OPEN' and circuit.probe == ask.token then
  if ask.outcome == 'gone' then free()
  elseif ask.outcome == 'bad' then
    put('last_failure', iso(now))
    open(num('failure_count') + 1, ask.reason)
  else
    free()
    put('successes', num('successes') + 1); put('last_success', iso(now))
    if num('successes') >= rules.successesToClose then close('the probes succeeded') end
  end
end

if circuit.state == 'CLOSED' and circuit.forced ~= 'CLOSED' and op == 'sync' then
  put('failure_count', bad)
  local quorum = math.min(2, live)
  local isSick = rules.failureThreshold > 0 and bad >= rules.failureThreshold
    or rules.failureThreshold == 0 and calls >= rules.minCalls and bad >= calls * rules.failureRate
  if voters >= quorum and (isSick or silent >= quorum) then
    local text = live > 1 and int(bad) .. ' of ' .. int(calls) .. ' calls failed, seen by ' .. int(voters) .. ' of ' .. int(live) .. ' processes'
      or int(bad) .. ' of ' .. int(calls) .. ' calls failed'
    open(bad, text)
  end
end

local write = {}
for name, value in pairs(dirty) do write[#write + 1] = name; write[#write + 1] = value end
if #write > 0 then redis.call('HSET', key, unpack(write)) end
for name in pairs(gone) do redis.call('HDEL', key, name) end
if isChanged then redis.call('PUBLISH', channel, service) end

-- What somebody caused and did not keep in time is somebody else's to keep.
local left = redis.call('HGETALL', outbox)
for i = 2, #left, 2 do
  local at = tonumber(string.match(left[i], '"at":(%d+)'))
  if at and now - at > 5000 and #told < 32 then told[#told + 1] = left[i] end
end

local fields = {}
for name, value in pairs(circuit) do fields[#fields + 1] = name; fields[#fields + 1] = value end
return { int(now), granted, live, voters, fields, told }`,
)
