#!lua name=@LIBRARY@
-- The live engine: read the state as of now, then add the event, in one atomic step.
-- Everything specific to a feature set comes from PLAN; see features/store.py for its fields.
-- A state is one packed flat list: touched, scalars, ring (count, then counterpart and time each),
-- then for each tile size: number of tiles, and for each tile: index, number of entries, entries.
local PLAN = @PLAN@
local PREFIX, STATE_S, MARKER_S = PLAN.prefix, PLAN.state_s, PLAN.marker_s
local DAY, IDLE, CHAIN = PLAN.day, PLAN.idle, PLAN.chain
local RING, PAYERS, HABITUAL, MEMBER = PLAN.ring, PLAN.payers, PLAN.habitual, PLAN.member
local COUNT, SUM, SQUARE, MAX, DISTINCT = 0, 1, 2, 3, 4
local FIRST, LAST, CHAIN_START, CHAIN_CALL = 0, 1, 2, 3
local LIFE_COUNT, LIFE_SUM, LIFE_SQUARE, LIFE_MAX = 4, 5, 6, 7
local TRANSFER, REPORT = 3, 4
local EMPTY = {}
local floor, max, min

-- Index the plan. A library has no standard library while it loads, so the first call does this.
local function prepare()
  floor, max, min = math.floor, math.max, math.min
  for _, state in pairs(PLAN.states) do
    state.size = #state.accumulators
    state.by_stream, state.is_max, state.scalars_by_stream = {}, {}, {}
    for number, item in ipairs(state.accumulators) do
      local list = state.by_stream[item.bit] or {}
      state.by_stream[item.bit] = list
      list[#list + 1] = { number, item.op, item.value + 1, item.hold + 1 }
      state.is_max[number] = item.op == MAX
    end
    for number, item in ipairs(state.scalars) do
      local list = state.scalars_by_stream[item.bit] or {}
      state.scalars_by_stream[item.bit] = list
      list[#list + 1] = { number, item.op, item.value + 1, item.link + 1 }
    end
  end
end

local function idle(touched, now)
  return touched < 0 or floor(now / DAY) - IDLE > floor(touched / DAY)
end

-- Unpack a state and forget what idleness forgets; tiles expire by themselves.
local function load(state, key, now)
  local raw = server.call('GET', key)
  local flat = raw and cmsgpack.unpack(raw) or nil
  local old = { state = state, key = key, flat = flat, scalars = {}, ring = EMPTY, tiles = 0 }
  old.idle = not flat or idle(flat[1], now)
  old.touched = flat and flat[1] or -1
  local count = #state.scalars
  local at = 2 + count
  if old.idle then
    for q, item in ipairs(state.scalars) do old.scalars[q] = item.op >= LIFE_COUNT and 0 or -1 end
  else
    for q = 1, count do old.scalars[q] = flat[1 + q] end
  end
  if state.has_ring then
    local ring, held = {}, flat and flat[at] or 0
    if not old.idle then
      for k = 1, 2 * held do ring[k] = flat[at + k] end
    end
    old.ring = ring
    at = at + 1 + 2 * held
  end
  old.tiles = at
  return old
end

-- What the event adds to a state: entries of the current tile, and units that move between tiles.
local function deltas(state, streams, values, at, hold)
  local add, order, moved = {}, {}, nil
  for _, stream in ipairs(streams) do
    for _, item in ipairs(state.by_stream[stream] or EMPTY) do
      local number, op, value = item[1], item[2], values[item[3]]
      local delta
      if op == COUNT then delta = 1
      elseif op == SUM or op == MAX then delta = value
      elseif op == SQUARE then delta = value * value
      else
        local before = hold[item[4]]
        if at > before then
          delta = 1
          if before >= 0 then
            moved = moved or {}
            moved[#moved + 1] = { number, before }
          end
        else
          delta = 0
        end
      end
      if delta ~= 0 then
        add[number] = delta
        order[#order + 1] = number
      end
    end
  end
  return add, order, moved
end

-- One tile size's share of `deltas`: tile index to changes of its entries.
local function changes(add, order, moved, tile, start, size)
  local here, elsewhere = add, nil
  if moved then
    for _, move in ipairs(moved) do
      local from = floor(move[2] / size)
      if from == tile then
        if here == add then
          here = {}
          for number, delta in pairs(add) do here[number] = delta end
        end
        here[move[1]] = nil
      elseif from >= start then
        elsewhere = elsewhere or {}
        local list = elsewhere[from] or {}
        elsewhere[from] = list
        list[move[1]] = -1
      end
    end
  end
  return here, elsewhere
end

local function copy_tile(out, n, flat, i, count)
  for k = 0, 2 * count + 1 do out[n + k] = flat[i + k] end
  return n + 2 * count + 2
end

-- Write one tile with changes merged in; an entry that falls to zero goes, an empty tile too.
local function merge_tile(out, n, state, flat, i, count, change, order)
  local left, kept, place = {}, 0, n + 2
  for number, delta in pairs(change) do left[number] = delta end
  for k = i + 2, i + 2 * count, 2 do
    local number, value = flat[k], flat[k + 1]
    local delta = left[number]
    if delta then
      if state.is_max[number] then value = max(value, delta) else value = value + delta end
      left[number] = nil
    end
    if value ~= 0 then
      out[place], out[place + 1] = number, value
      place, kept = place + 2, kept + 1
    end
  end
  for _, number in ipairs(order) do
    if left[number] then
      out[place], out[place + 1] = number, left[number]
      place, kept = place + 2, kept + 1
    end
  end
  return place, kept
end

-- One pass over the tiles: add up what `want` reads, write what is still alive with the event in it.
local function pass(old, now, at, want, event)
  local state, flat, i = old.state, old.flat, old.tiles
  local size, is_max = state.size, state.is_max
  local totals, out, n = {}, nil, 0
  local add, order, moved
  if event then
    add, order, moved = deltas(state, event.streams, event.values, at, event.hold)
    out = event.out
    n = #out + 1
  end
  for _, series in ipairs(state.series) do
    local tile_us, spans = series.tile, series.spans
    local current = floor(now / tile_us)
    local start, tile = current - series.tiles, floor(at / tile_us)
    local here, elsewhere
    local counter, tiles = n, 0
    if event then
      here, elsewhere = changes(add, order, moved, tile, start, tile_us)
      if tile < start or next(here) == nil then here = nil end
      out[counter] = 0
      n = n + 1
    end
    if flat then
      local many = flat[i]
      i = i + 1
      for _ = 1, many do
        local index, count = flat[i], flat[i + 1]
        if index >= start then
          if want then
            for _, span in ipairs(spans) do
              if index >= current - span.tiles then
                local base = span.base
                for k = i + 2, i + 2 * count, 2 do
                  local number, value = flat[k], flat[k + 1]
                  local slot = base + number
                  if is_max[number] then
                    totals[slot] = max(totals[slot] or 0, value)
                  else
                    totals[slot] = (totals[slot] or 0) + value
                  end
                end
              end
            end
          end
          if event then
            local change = (here and index == tile and here) or (elsewhere and elsewhere[index])
            if change then
              local place, kept = merge_tile(out, n, state, flat, i, count, change, order)
              if change == here then here = nil end
              if kept > 0 then
                out[n], out[n + 1] = index, kept
                n, tiles = place, tiles + 1
              end
            else
              n = copy_tile(out, n, flat, i, count)
              tiles = tiles + 1
            end
          end
        end
        i = i + 2 + 2 * count
      end
    end
    if event then
      if here then
        local place, kept = merge_tile(out, n, state, EMPTY, 0, 0, here, order)
        out[n], out[n + 1] = tile, kept
        n, tiles = place, tiles + 1
      end
      out[counter] = tiles
    end
  end
  if out then
    for k = #out, n, -1 do out[k] = nil end
  end
  return totals
end

-- Lay a role's numbers out: totals (less the shorter span, less oneself), then scalars.
local function hand_out(old, role, totals, now, hold, reply)
  local state = old.state
  local columns = state.roles[role]
  local n = #reply
  for _, column in ipairs(columns.totals) do
    local value = totals[column.slot] or 0
    if column.less >= 0 then value = value - (totals[column.less] or 0) end
    if column.hold >= 0 then
      local before = hold[column.hold + 1]
      if before >= 0 and floor(before / column.tile) >= floor(now / column.tile) - column.tiles then
        value = value - 1
      end
    end
    n = n + 1
    reply[n] = value
  end
  for _, q in ipairs(columns.marks) do
    n = n + 1
    reply[n] = old.scalars[q + 1]
  end
end

local function note(old, streams, values, at)
  local scalars, state = old.scalars, old.state
  for _, stream in ipairs(streams) do
    for _, item in ipairs(state.scalars_by_stream[stream] or EMPTY) do
      local q, op = item[1], item[2]
      local value = scalars[q]
      if op == FIRST then
        scalars[q] = value < 0 and at or min(value, at)
      elseif op == LAST then
        scalars[q] = max(value, at)
      elseif op == CHAIN_START or op == CHAIN_CALL then
        local app = scalars[item[4]]
        if app >= 0 and at >= app and at - app <= CHAIN then
          scalars[q] = op == CHAIN_START and app or at
        end
      elseif op == LIFE_COUNT then
        scalars[q] = value + 1
      elseif op == LIFE_SUM then
        scalars[q] = value + values[item[3]]
      elseif op == LIFE_SQUARE then
        scalars[q] = value + values[item[3]] * values[item[3]]
      else
        scalars[q] = max(value, values[item[3]])
      end
    end
  end
end

-- Read for a role (or none), then add the event (or nothing) and write the state back.
local function visit(old, now, at, role, reply, hold, event)
  if event then
    event.out = { event.touches and now or old.touched }
  end
  local before = event and old.scalars
  if event then
    -- scalars are handed out as they were, and written as they become
    local kept = {}
    for q = 1, #before do kept[q] = before[q] end
    note(old, event.streams, event.values, at)
    for q = 1, #before do event.out[1 + q] = old.scalars[q] end
    old.scalars = kept
    if old.state.has_ring then
      local ring = event.ring or old.ring
      event.out[#event.out + 1] = #ring / 2
      for k = 1, #ring do event.out[#event.out + 1] = ring[k] end
    end
    event.hold = hold
  end
  local totals = pass(old, now, at, role ~= nil, event)
  if role then hand_out(old, role, totals, now, hold, reply) end
  if event then server.call('SET', old.key, cmsgpack.pack(event.out), 'EX', STATE_S) end
end

local function zeros(reply, count)
  local n = #reply
  for k = 1, count do reply[n + k] = 0 end
end

-- The moments a relation's units stand at, for distinct counts.
local function held(old, related)
  local hold = {}
  for d, q in ipairs(related) do hold[d] = old.scalars[q + 1] end
  return hold
end

local function active(streams, circumstances)
  local found = {}
  for _, stream in ipairs(streams) do
    local asked = PLAN.circumstances[stream + 1]
    if asked == '' or circumstances[asked] then found[#found + 1] = stream end
  end
  return found
end

local function members_of(ring, now)
  local found = {}
  for k = 1, #ring, 2 do
    if now - ring[k + 1] <= MEMBER then found[#found + 1] = ring[k] end
  end
  return found
end

local function entered(ring, counterpart, at)
  local found, time = {}, at
  for k = 1, #ring, 2 do
    if ring[k] == counterpart then
      time = max(time, ring[k + 1])
    else
      found[#found + 1] = ring[k]
      found[#found + 1] = ring[k + 1]
    end
  end
  if #found >= 2 * RING then
    table.remove(found, 1)
    table.remove(found, 1)
  end
  found[#found + 1] = counterpart
  found[#found + 1] = time
  return found
end

-- A link: touched, then the first payers known. Returns how many others there are.
local function join_link(key, subscriber, now, joins)
  local raw = server.call('GET', key)
  local flat = raw and cmsgpack.unpack(raw) or { -1 }
  if idle(flat[1], now) then flat = { -1 } end
  local others, known = 0, false
  for k = 2, #flat do
    if flat[k] == subscriber then known = true else others = others + 1 end
  end
  if joins then
    flat[1] = now
    if not known and #flat - 1 < PAYERS then flat[#flat + 1] = subscriber end
    server.call('SET', key, cmsgpack.pack(flat), 'EX', STATE_S)
  end
  return others
end

local function reach_of(streams)
  for _, stream in ipairs(streams) do
    if PLAN.reach[tostring(stream)] then return true end
  end
  return false
end

local function link_members(e, subject, habitual)
  local found = { contacts = 0, others = 0, followed = 0, followed_shared = 0, reports = 0 }
  local counterpart, pair = PLAN.states.counterpart, PLAN.states.pair
  local members = members_of(subject.ring, e.now)
  found.contacts = #members
  for _, member in ipairs(members) do
    local others = join_link(
      PREFIX .. 'l:' .. member .. '|' .. e.counterpart, e.subscriber, e.now, not habitual)
    local both = load(pair, PREFIX .. 'p:' .. e.subscriber .. '|' .. member, e.now)
    local hold = held(both, PLAN.related.pair)
    local streams = {}
    if not habitual then
      streams = others > 0 and PLAN.follow_shared or PLAN.follow
    end
    local it = load(counterpart, PREFIX .. 'c:' .. member, e.now)
    local reply, event = {}, nil
    if not habitual then event = { streams = streams, values = e.values } end
    visit(it, e.now, e.at, 'member', reply, hold, event)
    if not habitual then
      visit(both, e.now, e.at, nil, nil, hold, { streams = streams, values = e.values })
    end
    found.others = max(found.others, others)
    found.followed = max(found.followed, reply[1])
    found.followed_shared = max(found.followed_shared, reply[2])
    found.reports = max(found.reports, reply[3])
  end
  return found
end

local function surprise_of(subject, amount)
  local count = subject.scalars[PLAN.life_count + 1]
  local total = subject.scalars[PLAN.life_sum + 1]
  local mean = count > 0 and floor(total / count) or 0
  local percent = mean > 0 and floor(100 * amount / mean) or PLAN.no_habit
  return min(percent, PLAN.surprise_cap)
end

local function parse(args)
  local e = {
    known = tonumber(args[1]), occurred = tonumber(args[2]), kind = tonumber(args[3]),
    id = args[4], subscriber = args[6], counterpart = args[7], account = args[8],
    payee = args[9], device = args[10], named = {},
    values = { 0, tonumber(args[11]), tonumber(args[12]), tonumber(args[13]), 0 },
    streams = { string.byte(args[5], 1, -1) },
  }
  for k = 14, #args do e.named[#e.named + 1] = args[k] end
  return e
end

local function reply_with(ints, repeated)
  local head = { repeated }
  for k = 1, #ints do head[k + 1] = ints[k] end
  return struct.pack('<' .. string.rep('d', #head), unpack(head))
end

local function touch_relation(e, name, old, role, reply)
  local hold = held(old, PLAN.related[name])
  visit(old, e.now, e.at, role, reply, hold, { streams = e.active, values = e.values, touches = true })
end

local function observe_report(e)
  local none = {}
  for d = 1, #PLAN.related.pair do none[d] = -1 end
  local event = function() return { streams = e.active, values = e.values, touches = true } end
  if PLAN.states.subscriber then
    visit(load(PLAN.states.subscriber, PREFIX .. 's:' .. e.subscriber, e.now), e.now, e.at, nil, nil, none, event())
  end
  if PLAN.states.counterpart then
    for _, name in ipairs(e.named) do
      visit(load(PLAN.states.counterpart, PREFIX .. 'c:' .. name, e.now), e.now, e.at, nil, nil, none, event())
    end
  end
end

local function observe_fact(e, ints)
  local states, now, at = PLAN.states, e.now, e.at
  local has = e.counterpart ~= ''
  local pair = states.pair and has and load(states.pair, PREFIX .. 'p:' .. e.subscriber .. '|' .. e.counterpart, now)
  local holding = states.holding and e.device ~= ''
    and load(states.holding, PREFIX .. 'h:' .. e.subscriber .. '|' .. e.device, now)
  local subject = states.subscriber and load(states.subscriber, PREFIX .. 's:' .. e.subscriber, now)
  local transfer = e.kind == TRANSFER
  local surprise = -1
  if transfer and PLAN.needs.surprise then
    surprise = surprise_of(subject, e.values[2])
    e.values[5] = surprise
  end
  local first = pair and PLAN.pair_first >= 0 and pair.scalars[PLAN.pair_first + 1] or -1
  local habitual = first >= 0 and now - first > HABITUAL
  local link = nil
  if transfer and has and PLAN.needs.links then link = link_members(e, subject, habitual) end
  e.active = active(e.streams, {
    new = pair and pair.idle,
    new_device = holding and holding.idle,
    unusual = surprise >= PLAN.unusual,
    shared = link and link.others > 0 and not habitual,
  })
  ints[#ints + 1] = surprise
  ints[#ints + 1] = pair and (pair.idle and 1 or 0) or -1
  ints[#ints + 1] = holding and (holding.idle and 1 or 0) or -1
  for _, field in ipairs(PLAN.link_fields) do ints[#ints + 1] = link and link[field] or -1 end

  local none = {}
  local hold = pair and held(pair, PLAN.related.pair) or none
  local event = function() return { streams = e.active, values = e.values, touches = true } end
  if pair then
    visit(pair, now, at, PLAN.roles.pair and 'pair', ints, hold, event())
  elseif PLAN.roles.pair then
    zeros(ints, PLAN.roles.pair)
  end
  local owner = holding and held(holding, PLAN.related.holding) or none
  if holding then visit(holding, now, at, nil, nil, owner, event()) end
  if subject then
    local change = event()
    if PLAN.needs.links and has and not habitual and reach_of(e.active) then
      change.ring = entered(subject.ring, e.counterpart, at)
    end
    visit(subject, now, at, PLAN.roles.subscriber and 'subscriber', ints, hold, change)
  end
  if states.counterpart and has then
    visit(load(states.counterpart, PREFIX .. 'c:' .. e.counterpart, now), now, at,
      PLAN.roles.counterpart and 'counterpart', ints, hold, event())
  elseif PLAN.roles.counterpart then
    zeros(ints, PLAN.roles.counterpart)
  end
  if PLAN.roles.payee_account then
    if e.payee ~= '' then
      visit(load(states.account, PREFIX .. 'a:' .. e.payee, now), now, at, 'payee_account', ints, none, nil)
    else
      zeros(ints, PLAN.roles.payee_account)
    end
  end
  if states.account and e.account ~= '' then
    visit(load(states.account, PREFIX .. 'a:' .. e.account, now), now, at,
      PLAN.roles.account and 'account', ints, none, event())
  elseif PLAN.roles.account then
    zeros(ints, PLAN.roles.account)
  end
  if states.device and e.device ~= '' then
    visit(load(states.device, PREFIX .. 'd:' .. e.device, now), now, at,
      PLAN.roles.device and 'device', ints, owner, event())
  elseif PLAN.roles.device then
    zeros(ints, PLAN.roles.device)
  end
end

local function observe(_, args)
  if not floor then prepare() end
  local e = parse(args)
  local marker = PREFIX .. 'e:' .. e.id
  local seen = server.call('GET', marker)
  if seen then return reply_with(cmsgpack.unpack(seen), 1) end
  local last, latest = string.match(server.call('GET', PREFIX .. 'clock') or '-1 0', '(%S+) (%S+)')
  local seq = tonumber(last) + 1
  e.now = max(tonumber(latest), e.known)
  e.at = e.kind == REPORT and e.now or min(e.occurred, e.now)
  local ints = { seq, e.now }
  if e.kind == REPORT then
    e.active = e.streams
    observe_report(e)
  else
    observe_fact(e, ints)
  end
  server.call('SET', PREFIX .. 'clock', string.format('%.0f %.0f', seq, e.now))
  server.call('SET', marker, cmsgpack.pack(ints), 'EX', MARKER_S)
  return reply_with(ints, 0)
end

local function read(_, args)
  if not floor then prepare() end
  local now, ints = tonumber(args[2]), {}
  local subject = load(PLAN.states.subscriber, PREFIX .. 's:' .. args[1], now)
  visit(subject, now, now, 'subscriber', ints, {}, nil)
  return struct.pack('<' .. string.rep('d', #ints), unpack(ints))
end

server.register_function('@LIBRARY@_observe', observe)
server.register_function { function_name = '@LIBRARY@_read', callback = read, flags = { 'no-writes' } }
