-- Sliding window counter: this period's requests, and those of the one before for as much of it as is still in sight.
local function sliding(key, now, unit)
  local window = floor(now / unit)
  local w, c, p = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+)$')
  w, c, p = tonumber(w), tonumber(c), tonumber(p)
  if w == window then
    return window, c, p
  elseif w == window - 1 then
    return window, 0, c
  elseif w == window + 1 then
    -- The clock went back by a moment.
    return w, c, p
  end
  return window, 0, 0
end

local function keep_sliding(key, now, unit, window, count, previous)
  keep(key, string.format('%.0f %.0f %.0f', window, count, previous), (window + 2) * unit - now)
end

kinds.s = {
  look = function(key, now, unit, size)
    local window, count, previous = sliding(key, now, unit)
    local rest = math.min(unit, (window + 1) * unit - now)
    return max(0, floor(size - count - previous * rest / unit)), { window, count, previous }
  end,
  wait = function(now, unit, size, n, state)
    local window, count, previous = state[1], state[2], state[3]
    local rest = (window + 1) * unit - now
    local room = size - count - n
    if room >= 0 then
      -- Until enough of the period before is out of sight.
      return previous > 0 and max(0, rest - floor(room * unit / previous)) or 0
    end
    -- This period must become the one before, and be out of sight so far.
    return rest + max(0, unit - floor((size - n) * unit / count))
  end,
  full = function(now, unit, size, state)
    local rest = (state[1] + 1) * unit - now
    return state[2] > 0 and rest + unit or state[3] > 0 and rest or 0
  end,
  take = function(key, now, unit, n, state)
    state[2] = state[2] + n
    keep_sliding(key, now, unit, state[1], state[2], state[3])
    return state
  end,
  give = function(key, now, unit, n, at)
    local window, count, previous = sliding(key, now, unit)
    local taken = floor(at / unit)
    if taken == window then
      count = max(0, count - n)
    elseif taken == window - 1 then
      previous = max(0, previous - n)
    end
    if count + previous > 0 then
      keep_sliding(key, now, unit, window, count, previous)
    else
      redis.call('DEL', key)
    end
  end,
}
