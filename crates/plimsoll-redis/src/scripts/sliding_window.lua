-- Sliding window counter: the requests of this period, and those of the previous one in proportion
-- to the part of it within one period of now. The state is the begin of a period, its requests, and
-- those of the previous one, and after a reset its time: requests admitted before are not refunded.
kinds.s = {
  start = function(q, now, spent)
    return { now - now % q.unit, math.ceil(spent), 0 }
  end,
  advance = function(q, now)
    local since, unit = now - q.state[1], q.unit
    -- When the clock went back by a moment, the next period has begun already.
    if since >= unit or since < -unit then
      local previous = since >= unit and since < 2 * unit and q.state[2] or 0
      q.state = { now - now % unit, 0, previous, q.state[4] }
    end
    local rest = min(unit, q.state[1] + unit - now)
    return max(0, floor(q.size - q.state[2] - q.state[3] * rest / unit))
  end,
  wait = function(q, now, n)
    local unit, count, previous = q.unit, q.state[2], q.state[3]
    local rest = q.state[1] + unit - now
    local room = q.size - count - n
    if room >= 0 then
      -- Until enough of the previous period has left the window.
      return previous > 0 and max(0, rest - floor(room * unit / previous)) or 0
    end
    -- This period must become the previous one, and leave the window in part.
    return rest + max(0, unit - floor((q.size - n) * unit / count))
  end,
  full = function(q, now)
    local rest = q.state[1] + q.unit - now
    return q.state[2] > 0 and rest + q.unit or q.state[3] > 0 and rest or 0
  end,
  ttl = function(q, now)
    return (q.state[2] + q.state[3] > 0 or q.state[4]) and q.state[1] + 2 * q.unit - now or 0
  end,
  take = function(q, now, n)
    q.state[2] = q.state[2] + n
  end,
  grant = function(q, now, n)
    local state, rest = q.state, min(q.unit, q.state[1] + q.unit - now)
    local older = max(0, n - state[2])
    state[2] = max(0, state[2] - n)
    state[3] = max(0, state[3] - math.ceil(older * q.unit / rest))
    state[4] = n == math.huge and now or state[4]
  end,
  refund = function(q, now, n, at)
    if at <= (q.state[4] or 0) then
      return
    elseif at >= q.state[1] then
      q.state[2] = max(0, q.state[2] - n)
    elseif at >= q.state[1] - q.unit then
      q.state[3] = max(0, q.state[3] - n)
    end
  end,
}
