-- Fixed window: periods are counted from 1970, less the phase. The state is the begin of a period
-- and the requests in it, and after a reset its time: requests admitted before are not refunded.
local function begin(q, now)
  return now - (now + q.phase) % q.unit
end

kinds.f = {
  start = function(q, now, spent)
    return { begin(q, now), math.ceil(spent) }
  end,
  advance = function(q, now)
    local since, first = now - q.state[1], begin(q, now)
    -- When the clock went back by a moment, the next period has begun already.
    if since >= q.unit or since < -q.unit then
      q.state = { first, 0 }
    elseif since >= 0 and q.state[1] ~= first then
      -- The phase has changed within a period.
      q.state[1], q.changed = first, true
    end
    return max(0, q.size - q.state[2])
  end,
  wait = function(q, now)
    return q.state[1] + q.unit - now
  end,
  full = function(q, now)
    return q.state[2] > 0 and q.state[1] + q.unit - now or 0
  end,
  ttl = function(q, now)
    return (q.state[2] > 0 or q.state[3]) and q.state[1] + q.unit - now or 0
  end,
  take = function(q, now, n)
    q.state[2] = q.state[2] + n
  end,
  grant = function(q, now, n)
    q.state[2] = max(0, q.state[2] - n)
    q.state[3] = n == math.huge and now or q.state[3]
  end,
  refund = function(q, now, n, at)
    if at >= q.state[1] and at > (q.state[3] or 0) then
      q.state[2] = max(0, q.state[2] - n)
    end
  end,
}
