-- Generic cell rate algorithm: the state is the moment at which the bucket is full again.
kinds.g = {
  look = function(key, now, unit, size)
    local tat = tonumber(redis.call('GET', key) or 0) or 0
    -- No later than an empty bucket allows, whatever clock or quota wrote it.
    tat = max(now, math.min(tat, now + unit * size))
    return floor((now + unit * size - tat) / unit), tat
  end,
  wait = function(now, unit, size, n, tat)
    return tat + unit * n - unit * size - now
  end,
  full = function(now, unit, size, tat)
    return tat - now
  end,
  take = function(key, now, unit, n, tat)
    tat = tat + unit * n
    keep(key, string.format('%.0f', tat), tat - now)
    return tat
  end,
  give = function(key, now, unit, n, at)
    local tat = tonumber(redis.call('GET', key) or 0) or 0
    -- Less what the clock has refilled since: that may have been spent again.
    local amount = unit * n - max(0, now - at)
    if amount > 0 and tat > now then
      tat = max(now, tat - amount)
      keep(key, string.format('%.0f', tat), tat - now)
    end
  end,
}
