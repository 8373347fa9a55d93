-- Fixed window: periods are counted from 1970, the state is a period's number and the requests in it.
local function fixed(key, now, unit)
  local window, count = floor(now / unit), 0
  local w, n = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  w = tonumber(w)
  -- A clock that went back by a moment finds the next period begun.
  if w and w >= window and w <= window + 1 then
    window, count = w, tonumber(n)
  end
  return window, count
end

local function keep_fixed(key, now, unit, window, count)
  keep(key, string.format('%.0f %.0f', window, count), (window + 1) * unit - now)
end

kinds.f = {
  look = function(key, now, unit, size)
    local window, count = fixed(key, now, unit)
    return max(0, size - count), window, count
  end,
  wait = function(now, unit, size, n, window)
    return (window + 1) * unit - now
  end,
  full = function(now, unit, size, window, count)
    return count > 0 and (window + 1) * unit - now or 0
  end,
  take = function(key, now, unit, n, window, count)
    keep_fixed(key, now, unit, window, count + n)
    return window, count + n
  end,
  give = function(key, now, unit, n, at)
    local window, count = fixed(key, now, unit)
    if window == floor(at / unit) and count > 0 then
      keep_fixed(key, now, unit, window, max(0, count - n))
    end
  end,
}
