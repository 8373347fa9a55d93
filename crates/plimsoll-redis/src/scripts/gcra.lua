-- Generic cell rate algorithm. The state is a time, what was missing from the bucket then, and
-- stretches. All are in microseconds: a token is one unit.
--
-- A refund leaves the bucket as if the request had never come. Without n tokens admitted at `at`
-- the bucket would have been full once less than n were missing, and a refill of a full bucket is
-- lost. So n are refunded, but at most the least that was missing at any time since `at`.
--
-- The stretches hold that minimum. A stretch begins, newest first, where the least that is missing
-- from then until now is larger than before; it is written as its begin and what was missing just
-- before it. This is exact, in any order of requests and refunds, until there is no room for more.
-- Then the shortest stretches are merged into their predecessors: the refunds of all requests of
-- both exceed the exact amount by at most what is refilled in the shorter one.
local function parse(text)
  local list = {}
  for begin, before in string.gmatch(text, '(%d+) (%d+)') do
    list[#list + 1] = { tonumber(begin), tonumber(before) }
  end
  return list
end

local function write(list)
  for i, stretch in ipairs(list) do
    list[i] = format(' %.0f %.0f', stretch[1], stretch[2])
  end
  return table.concat(list)
end

-- Merges stretches until half of the room is free, so that this is rare.
local function merge(text)
  local list = parse(text)
  while #list > 8 do
    local shortest = 1
    for i = 2, #list - 1 do
      if list[i][1] - list[i + 1][1] < list[shortest][1] - list[shortest + 1][1] then
        shortest = i
      end
    end
    table.remove(list, shortest)
  end
  return write(list)
end

kinds.g = {
  start = function(q, now, spent)
    return { now, min(longest, round(spent * q.unit)), '' }
  end,
  advance = function(q, now)
    local state = q.state
    state[2] = max(0, state[2] - max(0, now - state[1]))
    state[1] = now
    return max(0, floor((q.unit * q.size - state[2]) / q.unit))
  end,
  wait = function(q, now, n)
    return q.state[2] + q.unit * n - q.unit * q.size
  end,
  full = function(q)
    return q.state[2]
  end,
  ttl = function(q)
    return q.state[2]
  end,
  take = function(q, now, n)
    local missing, text = q.state[2], q.state[3]
    local begin, before, older = match(text, '^ (%d+) (%d+)(.*)$')
    while begin and tonumber(before) >= missing do
      text = older
      begin, before, older = match(text, '^ (%d+) (%d+)(.*)$')
    end
    if tonumber(begin) ~= now then
      text = format(' %.0f %.0f', now, missing) .. text
    end
    -- Room for at least 16 stretches.
    q.state[3] = #text > 512 and merge(text) or text
    q.state[2] = missing + q.unit * n
  end,
  grant = function(q, now, n)
    q.state[2] = max(0, q.state[2] - q.unit * n)
  end,
  refund = function(q, now, n, at)
    local list, missing = parse(q.state[3]), q.state[2]
    local i = 1
    while list[i] and list[i][1] > at do
      i = i + 1
    end
    -- None: the bucket has been full since, or its history is not known.
    if not list[i] then
      return
    end
    local least = i > 1 and min(missing, list[i - 1][2]) or missing
    local amount = min(q.unit * n, least)
    for newer = 1, i - 1 do
      list[newer][2] = list[newer][2] - amount
    end
    -- Removes stretches before which no less was missing than later.
    while list[i] and list[i][2] >= least - amount do
      table.remove(list, i)
    end
    q.state[2], q.state[3] = missing - amount, write(list)
  end,
}
