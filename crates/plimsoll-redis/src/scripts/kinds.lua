-- One entry per algorithm. `q` is a quota: its key, kind, unit and size (increment and burst of a
-- bucket, period and count of a window), phase (added to the clock so that fixed windows begin at
-- multiples of the period) and its state, an array.
--   start(q, now, spent)    a state in which `spent` requests count
--   advance(q, now)         brings the state up to `now`; returns the requests that conform
--   wait(q, now, n)         microseconds until n would conform
--   full(q, now)            microseconds until the quota is full
--   take(q, now, n)         takes n
--   refund(q, now, n, at)   refunds n that were admitted at `at`
--   grant(q, now, n)        adds n; if n is infinite, resets the quota and ends earlier refunds
--   ttl(q, now)             microseconds until the state no longer matters
local kinds = {}
local floor, max, min, match, format = math.floor, math.max, math.min, string.match, string.format
-- The format of each kind's state. The last part may be empty.
local shapes = {
  g = '^ (%d+) (%d+)([%d ]*)$',
  f = '^ (%d+) (%d+) ?(%d*)$',
  s = '^ (%d+) (%d+) (%d+) ?(%d*)$',
}
-- The longest debt, in microseconds: 732 days, the longest wait that `script.rs` accepts.
local longest = 63244800000000

local function round(number)
  return floor(number + 0.5)
end

-- Requests that count at `now` in a state that was written under another kind or unit.
local function spent(kind, unit, state, now)
  local since = now - state[1]
  if kind == 'g' then
    return max(0, state[2] - max(0, since)) / unit
  elseif since < -unit then
    return 0
  elseif kind == 'f' then
    return since < unit and state[2] or 0
  elseif since < unit then
    return state[2] + state[3] * min(unit, unit - since) / unit
  end
  return state[2] * max(0, 2 * unit - since) / unit
end

-- Earlier versions wrote neither kind nor unit: for a bucket one number (the time at which it is
-- full again), for a window its ordinal and one or two counts. They are read under the current kind
-- and unit.
local function read_legacy(q, now, first, rest)
  if q.kind == 'g' and rest == '' then
    return { now, max(0, min(first - now, q.unit * q.size)), '' }
  end
  local count, previous = match(rest, q.kind == 's' and '^ (%d+) (%d+)$' or '^ (%d+)$')
  return count and q.kind ~= 'g' and { first * q.unit, tonumber(count), tonumber(previous) }
end

-- The state of `q`. A key holds kind, unit and state. After a change of the quota, what was spent
-- is converted to a number of requests and must be written: otherwise a debt would be refilled at
-- the old rate.
local function read(q, now)
  local kind, unit, rest = match(redis.call('GET', q.key) or '', '^(%a?) ?(%d+)([%d ]*)$')
  unit, q.found = tonumber(unit), kind ~= nil
  if kind == '' then
    return read_legacy(q, now, unit, rest)
  elseif not shapes[kind] then
    return
  end
  local a, b, c, d = match(rest, shapes[kind])
  if not a then
    return
  end
  local state = { tonumber(a), tonumber(b), kind == 'g' and c or tonumber(c), tonumber(d) }
  if kind == q.kind and unit == q.unit then
    return state
  end
  q.changed = true
  local carried = kinds[q.kind].start(q, now, spent(kind, unit, state, now))
  if kind == 'g' and q.kind == 'g' then
    carried[3] = string.gsub(c, '(%d+) (%d+)', function(begin, before)
      return begin .. format(' %.0f', round(before / unit * q.unit))
    end)
  end
  return carried
end

-- Writes the state. A key that is not used expires a millisecond after it no longer matters.
local function save(q, now)
  local micros = kinds[q.kind].ttl(q, now)
  if micros <= 0 then
    redis.call('DEL', q.key)
    return
  end
  local value = format('%s %.0f %.0f %.0f', q.kind, q.unit, q.state[1], q.state[2])
  for i = 3, #q.state do
    local part = q.state[i]
    value = value .. (type(part) == 'string' and part or format(' %.0f', part))
  end
  redis.call('SET', q.key, value, 'PX', format('%.0f', floor(micros / 1000) + 2))
end

-- The quota of the i-th key, whose arguments begin at `at`, and what is left of it.
local function quota(i, at, now)
  local unit, size, phase = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local q = { key = KEYS[i], kind = ARGV[at], unit = unit, size = size, phase = phase }
  q.state = read(q, now) or kinds[q.kind].start(q, now, 0)
  q.left = kinds[q.kind].advance(q, now)
  return q
end
